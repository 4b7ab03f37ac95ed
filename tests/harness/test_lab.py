"""The lab in this process: stations that are made once, targets that fail or die, and nothing left behind."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from hosted import GUARD, gone, until, write_app

import fake_upstream.app
from fake_upstream.audio import prefix
from fake_upstream.pacing import burst, lockstep
from fake_upstream.script import Script
from harness import patience
from harness.hosting import MissingError, StartError
from harness.loops import LOOPS, Loop, Pairing, covering
from harness.record import Record
from harness.run import Lab, environment
from harness.scenario import Scenario
from harness.stage import RESET, Stage
from harness.target import Target, parse_target

REFERENCE = parse_target("reference")
SCRIPT = Script(burst(4, 512), content_type="audio/mpeg")
WHOLE = prefix(SCRIPT, SCRIPT.total)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """One lab for the tests that leave it as it was."""
    with Lab() as made:
        yield made


def app(folder: Path, code: str) -> Target:
    spec = write_app(folder, code)
    return Target(f"app:{spec}", spec)


def scenario(play: object, **changes: object) -> Scenario:
    """A scenario of a test's own."""
    plain = Scenario("test/own", "A claim.", "required", ("why",), {"v": SCRIPT}, lambda record: (), play)  # type: ignore[arg-type]
    return replace(plain, **changes)  # type: ignore[arg-type]


def all_on(loop: Loop) -> Pairing:
    return Pairing(loop, loop, loop)


async def asks(stage: Stage) -> None:
    client, _ = await stage.ask(stage.variant)
    await client.ends()


@pytest.mark.parametrize("pairing", covering(LOOPS), ids=str)
def test_a_staging_is_recorded_at_both_ends_in_order(lab: Lab, pairing: Pairing) -> None:
    record = lab.perform(scenario(asks), "v", REFERENCE, pairing)
    (exchange,) = record.exchanges
    assert (record.target, record.scenario, record.variant, record.loops) == ("reference", "test/own", "v", pairing)
    assert (record.unsound, record.output, record.environment) == ("", "", environment("hypercorn"))
    assert (exchange.status, exchange.received, exchange.attempts) == (200, exchange.offered, 1)
    assert [w.outcome for w in record.waits] == ["happened"]
    assert {event.key for event in (*exchange.upstream, *exchange.client)} == {exchange.key}
    assert "crashed" not in {event.what for event in exchange.upstream}
    times = [event.at for event in exchange.client]
    assert times == sorted(times)
    assert exchange.seen("emitted")[0].at < next(e.at for e in exchange.client if e.what == "received")


def test_every_request_has_a_text_of_its_own(lab: Lab) -> None:
    """Or a gateway that caches answers for yesterday."""

    async def twice(stage: Stage) -> None:
        await asks(stage)
        await asks(stage)

    records = [lab.perform(scenario(twice), "v", REFERENCE, all_on("asyncio")) for _ in range(2)]
    keys = [exchange.key for record in records for exchange in record.exchanges]
    assert len(set(keys)) == 4
    assert [key.rpartition(" (")[0] for key in keys[:2]] == [key.rpartition(" (")[0] for key in keys[2:]], "same words"


def test_many_stagings_at_once_keep_their_records_apart(lab: Lab) -> None:
    def one(n: int) -> Record:
        variants = {"v": SCRIPT.but(seed=n, chunks=burst(n + 1, 700))}
        return lab.perform(scenario(asks, variants=variants), "v", REFERENCE, covering(LOOPS)[n % 4])

    with ThreadPoolExecutor(8) as pool:
        records = list(pool.map(one, range(16)))
    for n, record in enumerate(records):
        (exchange,) = record.exchanges
        assert exchange.received == exchange.offered
        assert len(exchange.received) == 700 * (n + 1)


def test_a_staging_that_leaves_everything_open_leaves_nothing_behind(lab: Lab, loop: Loop) -> None:
    """Clients that wait, gates that were never opened: the stage lets everybody go."""

    async def walks_away(stage: Stage) -> None:
        for _ in range(3):
            client, _ = await stage.ask(Script(lockstep(3, 100)))
            await client.holds(100)

    record = lab.perform(scenario(walks_away), "v", REFERENCE, all_on(loop))
    assert [exchange.received_bytes() for exchange in record.exchanges] == [100, 100, 100]
    assert [exchange.over for exchange in record.exchanges] == [None, None, None]
    again = lab.perform(scenario(asks), "v", REFERENCE, all_on(loop))
    assert again.exchanges[0].received == again.exchanges[0].offered


def test_a_play_that_crashes_leaves_an_unsound_record_with_what_had_happened(lab: Lab, loop: Loop) -> None:
    async def stumbles(stage: Stage) -> None:
        await asks(stage)
        raise LookupError("forgot the text")

    record = lab.perform(scenario(stumbles), "v", REFERENCE, all_on(loop))
    assert record.unsound.startswith("the staging of test/own crashed:\nTraceback")
    assert record.unsound.rstrip().endswith("LookupError: forgot the text")
    assert len(record.exchanges) == 1
    assert lab.judge(scenario(stumbles), record).verdict == "unsound"


def test_an_interruption_ends_what_other_threads_have_under_way_and_nothing_begins_after_it(loop: Loop) -> None:
    begun = threading.Event()

    async def lasts(stage: Stage) -> None:
        begun.set()
        await anyio.sleep_forever()

    with Lab() as lab, ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(lab.perform, scenario(lasts), "v", REFERENCE, all_on(loop))
        assert begun.wait(GUARD)
        lab.interrupt()
        with pytest.raises(CancelledError):
            under_way.result(GUARD)
        with pytest.raises(CancelledError):
            lab.perform(scenario(asks), "v", REFERENCE, all_on(loop))


def test_facts_of_a_staging_are_kept(lab: Lab) -> None:
    async def counts(stage: Stage) -> None:
        await asks(stage)
        stage.facts["loaves"] = [1, 2, 3]

    assert lab.perform(scenario(counts), "v", REFERENCE, all_on("trio")).facts == {"loaves": [1, 2, 3]}


def test_a_request_can_be_changed_garbled_and_sent_to_the_upstream_itself(lab: Lab, loop: Loop) -> None:
    async def odd(stage: Stage) -> None:
        for words in ({"fields": {"speed": 2}}, {"garble": lambda body: body + b" "}, {"direct": True}):
            client, _ = await stage.ask(SCRIPT, **words)
            await client.ends()

    changed, garbled, direct = lab.perform(scenario(odd), "v", REFERENCE, all_on(loop)).exchanges
    assert '"speed": 2' in changed.seen("asked")[0].body
    assert garbled.seen("asked")[0].body.endswith("} ")
    assert direct.received == changed.received == WHOLE
    assert all(e.over and e.over.what == "ended" for e in (changed, garbled, direct))


def test_an_upstream_that_refuses_is_reached_by_nobody_and_then_again(lab: Lab, loop: Loop) -> None:
    async def refused(stage: Stage) -> None:
        async with stage.refusing():
            await asks(stage)
        await asks(stage)

    first, second = lab.perform(scenario(refused, alone=True), "v", REFERENCE, all_on(loop)).exchanges
    assert (first.attempts, first.status) == (0, 502)
    assert (second.attempts, second.received) == (1, WHOLE)


def test_idle_connections_are_closed_and_busy_ones_are_not(lab: Lab, loop: Loop) -> None:
    """The reference keeps its connection, and looks whether it is still open before it is used again."""

    async def closes(stage: Stage) -> None:
        await asks(stage)
        busy, its_upstream = await stage.ask(Script(lockstep(2, 100)))
        await busy.holds(100)
        await stage.close_idle()
        its_upstream.release()
        await busy.ends()
        await stage.close_idle()
        await asks(stage)

    record = lab.perform(scenario(closes, alone=True), "v", REFERENCE, all_on(loop))
    assert [exchange.received for exchange in record.exchanges] == [exchange.offered for exchange in record.exchanges]
    connections = [exchange.seen("asked")[0].connection for exchange in record.exchanges]
    assert connections[2] not in connections[:2]


def test_an_upstream_that_is_late_to_recycle_its_connection_has_it_closed_all_the_same(
    lab: Lab, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its client held the whole response before, and had the idle connections closed: there were none yet."""
    tell = fake_upstream.app._tell_hypercorn

    async def tell_late(send: Any) -> None:
        await tell(send)
        await anyio.sleep(0.05)  # without the wait for `recycled`, nothing would be closed in this time

    async def closes(stage: Stage) -> None:
        await asks(stage)
        await stage.close_idle()
        await asks(stage)

    monkeypatch.setattr("fake_upstream.app._tell_hypercorn", tell_late)
    record = lab.perform(scenario(closes, alone=True), "v", REFERENCE, all_on(loop))
    first, second = (exchange.seen("asked")[0].connection for exchange in record.exchanges)
    assert first != second


def test_a_copy_of_a_target_has_an_upstream_of_its_own_and_is_kept(lab: Lab, loop: Loop) -> None:
    ports = [
        lab.perform(scenario(asks), "v", REFERENCE, all_on(loop), copy=copy).exchanges[0].seen("asked")[0].headers
        for copy in (0, 1, 1, 2, 0)
    ]
    first, second, again, third, first_again = (dict(headers)["host"] for headers in ports)
    assert len({first, second, third}) == 3
    assert (again, first_again) == (second, first)


def test_letting_requests_pass_is_progress_of_the_target(lab: Lab, loop: Loop) -> None:
    async def lets(stage: Stage) -> None:
        await asks(stage)
        stage.facts["passed"] = await stage.let_pass()

    record = lab.perform(scenario(lets), "v", REFERENCE, all_on(loop))
    assert record.facts["passed"] is True
    wait = record.waits[-1]
    assert (wait.goal, wait.outcome, wait.staging) == ("passed", "happened", True)
    assert wait.trips >= patience.TRIPS


def test_a_narrow_upstream_leaves_little_with_the_kernel(lab: Lab, loop: Loop) -> None:
    """A client that does not read stops the upstream the sooner: less than a megabyte over, here without a proxy."""

    async def narrows(stage: Stage) -> None:
        client, upstream = await stage.ask(Script((*lockstep(2, 100), *burst(2_000, 10_000))), direct=True)
        client.narrow()
        client.pause()
        await client.has_head()
        upstream.narrow()
        upstream.release()
        await stage.let_pass()
        stage.facts["taken"] = upstream.taken

    taken = lab.perform(scenario(narrows), "v", REFERENCE, all_on(loop)).facts["taken"]
    assert 100 < taken < 1_000_000


def test_a_child_that_is_stopped_is_found_to_be_so(lab: Lab, loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Patience cannot be spent on it; whoever stopped it is to blame, not the proxy."""
    monkeypatch.setattr(patience, "STUCK", 0.2)

    async def stops(stage: Stage) -> None:
        client, _ = await stage.ask(Script(lockstep(2, 100)))
        await client.holds(100)
        host = lab.host_of(loop)
        assert host is not None
        host.process.send_signal(signal.SIGSTOP)
        try:
            await client.holds(200)
        finally:
            host.process.send_signal(signal.SIGCONT)

    subject = scenario(stops)
    record = lab.perform(subject, "v", REFERENCE, all_on(loop))
    assert [wait.outcome for wait in record.waits] == ["happened", "stopped"]
    result = lab.judge(subject, record)
    assert (result.verdict, result.reason) == (
        "unsound",
        "the target was stopped while we waited: the client holds 200 bytes",
    )


ONLY_CANARIES = """
    from harness.proxies.reference import *

    class OnlyCanaries(Proxy):
        async def ask(self, request):
            if b"canary" not in request.content:
                await anyio.sleep_forever()
            yield Head(200, [(b"content-encoding", b"gzip")])
            yield b"this is no gzip"

    build = OnlyCanaries
"""


def test_a_target_whose_answers_cannot_be_decoded_is_not_wedged(lab: Lab, loop: Loop, tmp_path: Path) -> None:
    """Requests pass through it; what is in them is another claim's business."""

    async def waits(stage: Stage) -> None:
        client, _ = await stage.ask(SCRIPT)
        await client.has_head()

    (wait,) = lab.perform(scenario(waits), "v", app(tmp_path, ONLY_CANARIES), all_on(loop)).waits
    assert wait.outcome == "never"
    assert wait.trips >= patience.TRIPS


def test_loops_of_a_target(lab: Lab, tmp_path: Path) -> None:
    assert lab.loops_of(REFERENCE) == ("asyncio", "trio")
    assert lab.loops_of(app(tmp_path, "def build(url): ...\nbuild.loops = ['trio']")) == ("trio",)
    with pytest.raises(MissingError, match="there is no file"):
        lab.loops_of(Target("app", "gone.py:build"))
    with pytest.raises(StartError, match="the oven is cold"):
        lab.loops_of(app(tmp_path / "other", "raise RuntimeError('the oven is cold')"))


def test_a_target_that_does_not_start_is_tried_once_a_loop(lab: Lab, tmp_path: Path) -> None:
    log = tmp_path / "log"
    target = app(tmp_path, f"open({str(log)!r}, 'a').write('tried ')\nraise RuntimeError('the oven is cold')")
    for pairing in covering(LOOPS) * 2:
        record = lab.perform(scenario(asks), "v", target, pairing)
        assert record.unsound.startswith("the target did not start: the app raised at start:\n")
        assert "the oven is cold" in record.unsound
        assert record.exchanges == ()
    assert log.read_text() == "tried tried "


DIES = """
    import os
    from harness.proxies.reference import *

    class Dies(Proxy):
        healthy = True  # at the first request, with which the harness sees whether it answers

        async def hand_on(self, stream, send):
            if self.healthy:
                self.healthy = False
                return await super().hand_on(stream, send)
            await start(send, Head(200, []))
            print("my last words", flush=True)
            os._exit(3)

    build = Dies
"""


def test_a_target_that_dies_is_not_judged_and_its_neighbour_gets_a_fresh_child(
    lab: Lab, loop: Loop, tmp_path: Path
) -> None:
    """What both ends saw is kept all the same."""
    before = lab.perform(scenario(asks), "v", REFERENCE, all_on(loop))
    first = lab.host_of(loop)
    record = lab.perform(scenario(asks), "v", app(tmp_path, DIES), all_on(loop))
    assert record.unsound.startswith("the target's process died (exit code 3). It printed last:\n")
    assert "my last words" in record.output
    assert record.exchanges[0].status == 200
    assert lab.host_of(loop) is None
    after = lab.perform(scenario(asks), "v", REFERENCE, all_on(loop))
    assert before.exchanges[0].received == after.exchanges[0].received == WHOLE
    assert lab.host_of(loop) not in (None, first)


SPEAKS = """
    import os
    from harness.proxies.reference import *

    class Speaks(Proxy):
        async def ask(self, request):
            print("asked", os.getpid(), flush=True)
            async for item in deferred_stream(self.http, request):
                yield item

    build = Speaks
"""


async def listens(stage: Stage) -> None:
    await asks(stage)
    stage.facts["printed"] = await stage.printed()


def test_what_a_target_printed_during_a_staging_is_that_staging_s(lab: Lab, loop: Loop, tmp_path: Path) -> None:
    target = app(tmp_path, SPEAKS)
    for _ in range(2):
        record = lab.perform(scenario(listens), "v", target, all_on(loop))
        host = lab.host_of(loop)
        assert host is not None
        assert record.facts["printed"] == f"asked {host.process.pid}\n"


def test_an_app_that_stands_apart_has_a_process_of_its_own_which_goes_with_the_staging(
    lab: Lab, loop: Loop, tmp_path: Path
) -> None:
    target = app(tmp_path, SPEAKS)
    lab.perform(scenario(asks), "v", target, all_on(loop))
    host = lab.host_of(loop)
    assert host is not None
    pids = set()
    for _ in range(2):
        record = lab.perform(scenario(listens, apart=True), "v", target, all_on(loop))
        word, pid = record.facts["printed"].split()
        assert word == "asked"
        pids.add(int(pid))
    assert len(pids - {host.process.pid}) == 2
    assert all(gone(pid) for pid in pids)
    assert lab.host_of(loop) is host


def test_an_app_that_dies_apart_or_does_not_start_there_leaves_the_others_alone(
    lab: Lab, loop: Loop, tmp_path: Path
) -> None:
    async def asks_twice(stage: Stage) -> None:
        await asks(stage)
        await asks(stage)

    lab.perform(scenario(asks), "v", REFERENCE, all_on(loop))
    host = lab.host_of(loop)
    died = lab.perform(scenario(asks_twice, apart=True), "v", app(tmp_path / "dies", DIES), all_on(loop))
    assert died.unsound.startswith("the target's process died (exit code 3)")
    failed = lab.perform(scenario(asks, apart=True), "v", app(tmp_path / "fails", "1 / 0"), all_on(loop))
    assert "ZeroDivisionError" in failed.unsound
    assert lab.host_of(loop) is host


def test_leaving_the_lab_leaves_nothing_behind(tmp_path: Path) -> None:
    """No child, no thread, no descriptor; also where a child died, or something is still under way."""
    before, threads = descriptors(), set(threading.enumerate())

    async def waits(stage: Stage) -> None:
        client, _ = await stage.ask(Script(lockstep(2, 100)))
        await client.holds(100)
        under_way.set()
        await client.ends()

    under_way = threading.Event()
    with Lab() as lab, ThreadPoolExecutor(1) as pool:
        for pairing in covering(LOOPS):
            lab.perform(scenario(asks), "v", REFERENCE, pairing)
        pids = [host.process.pid for loop in LOOPS if (host := lab.host_of(loop))]
        lab.perform(scenario(asks), "v", app(tmp_path, DIES), all_on("trio"))
        performing = pool.submit(lab.perform, scenario(waits), "v", REFERENCE, all_on("asyncio"))
        assert under_way.wait(GUARD)
        lab.__exit__(None, None, None)
        performing.exception(GUARD)
    assert len(pids) == 2
    assert [pid for pid in pids if not gone(pid)] == []
    assert [thread.name for thread in set(threading.enumerate()) - threads] == []
    until(lambda: descriptors() <= before, "all descriptors are closed")


def descriptors() -> int:
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("descriptors can be counted on Linux only: there is no /proc/self/fd here")
    return len(os.listdir("/proc/self/fd"))


def test_a_client_that_leaves_is_told_apart_from_one_that_was_let_go(lab: Lab, loop: Loop) -> None:
    async def leaves(stage: Stage) -> None:
        client, upstream = await stage.ask(Script(lockstep(2, 100)))
        await client.holds(100)
        client.leave(RESET)
        await upstream.sees_the_target_leave()

    (exchange,) = lab.perform(scenario(leaves), "v", REFERENCE, all_on(loop)).exchanges
    assert exchange.over is not None
    assert (exchange.over.what, exchange.over.note) == ("left", "reset")
    assert exchange.let_go is not None
    assert exchange.let_go.at > exchange.over.at

"""Gates, runs and several upstreams at once: who may open what from where, and what stays open."""

from __future__ import annotations

from threading import Thread

import anyio
import pytest
from anyio.from_thread import start_blocking_portal
from rawclient import GUARD, RawClient, converse, off, request, saw, served, whats

from fake_upstream.audio import prefix
from fake_upstream.journal import Journal
from fake_upstream.pacing import burst, lockstep
from fake_upstream.runs import Run, Runs
from fake_upstream.script import Chunk, Ending, Script, Step
from fake_upstream.upstream import fake_upstream

GATED = Script((Chunk(size=1, gate=True),) * 3, head=Step(gate=True), ending=Ending(gate=True))


def _emitted(run: Run, journal: Journal) -> int:
    return whats(journal.of(run.key)).count("emitted")


async def _has(journal: Journal, key: str, count: int) -> None:
    """Wait until there are so many events under a key."""
    await journal.until(lambda: len(journal.of(key)) >= count)


async def test_gates_open_one_by_one_in_the_order_of_the_script(loop: str) -> None:
    """Head, chunks, ending; the release may come from any thread."""
    async with served() as up:
        run = up.runs.arm("hello", GATED)
        with RawClient(up.url) as client:
            client.send(request())
            await up.journal.saw("hello", "asked")
            for expected in ("head_sent", "emitted", "emitted", "emitted", "finished"):
                before = whats(up.journal.of("hello"))
                assert client.has_nothing()
                await off(run.release)
                await _has(up.journal, "hello", len(before) + 2)
                assert whats(up.journal.of("hello")) == [*before, "released", expected]
                await off(client.head if expected == "head_sent" else client.recv)


async def test_several_gates_at_once(loop: str) -> None:
    async with served() as up:
        run = up.runs.arm("hello", GATED)
        with RawClient(up.url) as client:
            client.send(request())
            run.release(3)
            await up.journal.until(lambda: _emitted(run, up.journal) == 2)
            await off(client.head)
            assert await off(client.read, 12) == _chunks(2)
            assert client.has_nothing()
            run.release(None)
            assert await off(client.read, 11) == _chunks(3)[12:] + b"0\r\n\r\n"


def _chunks(count: int) -> bytes:
    return b"".join(b"1\r\n%c\r\n" % byte for byte in prefix(GATED, count))


async def test_gates_may_be_opened_before_the_request(loop: str) -> None:
    async with served() as up:
        up.runs.arm("hello", GATED.but(framing="close-delimited")).release(None)
        data, how = await off(converse, up.url, request())
        assert (len(data.partition(b"\r\n\r\n")[2]), how) == (3, "fin")


async def test_a_retry_sees_open_gates(loop: str) -> None:
    """What was released for the first attempt stays open for the next; the rest stays shut."""
    async with served() as up:
        run = up.runs.arm("hello", Script(lockstep(3, 1)))
        run.release()
        for attempt in (1, 2):
            with RawClient(up.url) as client:
                client.send(request())
                await off(client.head)
                await off(client.read, 12)
                assert client.has_nothing()
                assert run.attempts == attempt
                assert _emitted(run, up.journal) == 2 * attempt
            await saw(up.journal, "closed", connection=attempt)


async def test_two_clients_play_one_run(loop: str) -> None:
    """One release serves both."""
    async with served() as up:
        run = up.runs.arm("hello", Script(lockstep(2, 1), framing="close-delimited"))
        with RawClient(up.url) as one, RawClient(up.url) as two:
            for client in (one, two):
                client.send(request())
                await off(client.head)
                await off(client.read, 1)
            run.release()
            first, second = await off(one.rest), await off(two.rest)
            assert first == second
            assert (len(first[0]), run.attempts) == (1, 2)


def test_release_counts_from_many_threads() -> None:
    journal = Journal()
    run = Run("a", Script(burst(1, 1)), journal)

    def release() -> None:
        for _ in range(1000):
            run.release()

    threads = [Thread(target=release) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert run.released == 4000
    assert whats(journal.of("a")) == ["released"] * 4000


def test_release_of_all_closes_none() -> None:
    """Also where more gates were opened than there are."""
    journal = Journal()
    run = Run("a", GATED, journal)
    run.release(2)
    run.release(None)
    assert run.released == GATED.gates == 5
    run.release(3)
    run.release(None)
    assert run.released == 8
    assert [event.size for event in journal.of("a")] == [2, 3, 3, 0]


async def test_drop_resets_what_plays_the_run_and_nothing_else(loop: str) -> None:
    async with served() as up:
        dropped, kept = (up.runs.arm(key, Script(lockstep(2, 1))) for key in ("dropped", "kept"))
        with RawClient(up.url) as one, RawClient(up.url) as two, RawClient(up.url) as other:
            for client, key in ((one, "dropped"), (two, "dropped"), (other, "kept")):
                client.send(request(key))
                await off(client.head)
                await off(client.read, 6)
            await off(dropped.drop)
            assert await off(one.rest) == (b"", "reset")
            assert await off(two.rest) == (b"", "reset")
            await up.journal.until(lambda: whats(up.journal.of("dropped")).count("cut") == 2)
            assert {e.note for e in up.journal.of("dropped") if e.what == "cut"} == {"dropped"}
            assert {e.note for e in up.journal.of("dropped") if e.what == "closed"} == {"reset"}
            kept.release()
            assert await off(other.read, 11) == b"1\r\n%b\r\n0\r\n\r\n" % _second()


def _second() -> bytes:
    return prefix(Script(burst(2, 1)), 2)[1:]


async def test_drop_frees_a_blocked_write(loop: str) -> None:
    async with served() as up:
        run = up.runs.arm("hello", Script((Chunk(size=16_000_000),), payload="pcm"))
        with RawClient(up.url, receive_buffer=4096) as client:
            client.send(request())
            await up.journal.saw("hello", "emitted")
            run.drop()
            assert (await up.journal.saw("hello", "cut")).note == "dropped"


async def test_disarm_and_reset_forget_runs(loop: str) -> None:
    async with served() as up:
        up.runs.arm("hello", Script(lockstep(2, 1)))
        with RawClient(up.url) as client:
            client.send(request())
            await up.journal.saw("hello", "emitted")
            up.runs.disarm("hello")
            assert (await off(client.rest))[1] == "reset"
        up.runs.disarm("hello")  # twice is no error
        assert up.runs.get("hello") is None
        one, two = up.runs.arm("one", GATED), up.runs.arm("two", GATED)
        up.runs.reset()
        assert (up.runs.get("one"), up.runs.get("two")) == (None, None)
        assert one.dropped
        assert two.dropped


def test_arming_again_replaces_the_script() -> None:
    runs = Runs(Journal())
    first = runs.arm("a", Script(burst(1, 1)))
    second = runs.arm("a", Script(burst(2, 2)))
    assert runs.claim("a") is second
    assert (first.attempts, second.attempts) == (0, 1)
    assert not first.dropped
    assert runs.claim("b") is None


async def test_an_unarmed_request_gets_the_default(loop: str) -> None:
    """Made from its input text and the plain script; what it does is noted without a key."""

    def default(text: str, plain: Script) -> Script:
        assert plain.content_type == "audio/mpeg"
        return Script((Chunk(size=len(text)),), payload="text", text=text.upper(), framing="close-delimited")

    async with served(default=default) as up:
        data, _ = await off(converse, up.url, request("say it"))
        assert data.endswith(b"\r\n\r\nSAY IT")
        assert up.journal.of("say it") == ()
        assert "asked" in whats(up.journal.of(""))


async def test_shutdown_does_not_wait_for_a_script_that_hangs(loop: str) -> None:
    async with served() as up:
        up.runs.arm("hello", Script(burst(1, 1), ending=Ending(kind="hang")))
        client = RawClient(up.url)
        client.send(request())
        await up.journal.saw("hello", "finished")
    with client:
        assert (await off(client.rest))[1] == "reset"
    assert up.journal.of("hello")[-1].note == "reset"


async def test_shutdown_does_not_wait_for_a_reader_that_stalls(loop: str) -> None:
    async with served() as up:
        up.runs.arm("hello", Script((Chunk(size=16_000_000),), payload="pcm"))
        client = RawClient(up.url, receive_buffer=4096)
        client.send(request())
        await up.journal.saw("hello", "emitted")
    client.close()
    emitted = [event for event in up.journal.of("hello") if event.what == "emitted"]
    assert [event.until for event in emitted] == [None]
    cut = [event for event in up.journal.of("hello") if event.what == "cut"]
    assert [event.note for event in cut] == ["shutdown"]


async def test_shutdown_does_not_wait_for_a_gate_or_a_date(loop: str) -> None:
    async with served() as up:
        up.runs.arm("gated", GATED)
        up.runs.arm("next year", Script((Chunk(size=1, after=3e7),)))
        clients = [RawClient(up.url), RawClient(up.url)]
        for client, key in zip(clients, ("gated", "next year"), strict=True):
            client.send(request(key))
            await up.journal.saw(key, "asked")
    for client in clients:
        with client:
            assert (await off(client.rest))[1] == "reset"
    for key in ("gated", "next year"):
        assert [event.note for event in up.journal.of(key) if event.what == "cut"] == ["shutdown"]


async def test_an_error_in_the_block_stops_the_upstream_too(loop: str) -> None:
    url = ""
    with pytest.raises(Exception) as caught:  # noqa: PT011, PT012 - its own type, or a group around it
        async with served() as up:
            url = up.url
            raise LookupError("mine")
    assert caught.group_contains(LookupError) if isinstance(caught.value, BaseExceptionGroup) else True
    with pytest.raises(ConnectionRefusedError):
        RawClient(url)


@pytest.mark.parametrize("backends", [("asyncio", "trio"), ("trio", "trio"), ("asyncio", "asyncio")])
def test_several_upstreams_in_one_process(backends: tuple[str, str]) -> None:
    """One a thread, each on its own loop; gates and journals are commanded from a third thread and do not mix."""
    with (
        start_blocking_portal(backends[0]) as first,
        start_blocking_portal(backends[1]) as second,
        first.wrap_async_context_manager(fake_upstream()) as one,
        second.wrap_async_context_manager(fake_upstream()) as two,
    ):
        assert len({one.url, two.url, one.control_url, two.control_url}) == 4
        runs = [up.runs.arm("hello", Script(lockstep(50, 1), framing="close-delimited")) for up in (one, two)]
        with RawClient(one.url) as client_one, RawClient(two.url) as client_two:
            clients = (client_one, client_two)
            for client in clients:
                client.send(request())
                client.head()
                client.read(1)
            for n in range(1, 50):
                for run, client, up in zip(runs, clients, (one, two), strict=True):
                    assert client.has_nothing()
                    run.release()
                    client.read(1)
                    assert _emitted(run, up.journal) == n + 1
            assert [client.rest() for client in clients] == [(b"", "fin")] * 2


async def test_a_waiter_on_one_loop_hears_a_run_on_the_other(loop: str) -> None:
    """The harness waits on its own loop for what an upstream on another loop notes."""
    other = "trio" if loop == "asyncio" else "asyncio"
    with (
        anyio.fail_after(GUARD),
        start_blocking_portal(other) as portal,
        portal.wrap_async_context_manager(fake_upstream()) as up,
    ):
        run = up.runs.arm("hello", Script(lockstep(2, 1)))
        with RawClient(up.url) as client:
            client.send(request())
            assert (await up.journal.saw("hello", "emitted")).chunk == 0
            run.release()
            assert (await up.journal.saw("hello", "finished")).note == "keep"

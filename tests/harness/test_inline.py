"""Apps in the harness's own process: the same commands, breakpoints, and what the ledger adds to a verdict."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path
from threading import Thread

import pytest
from builders import LOCKSTEP, MS, at_client, conversation, emissions, exchange, record, wait
from hosted import ANSWERS, ask, mount, until, write_app

from harness.cli import main
from harness.contexts import Context, Moment
from harness.hosting import MissingError, StartError
from harness.inline import InlineHost
from harness.loops import LOOPS, Loop, Pairing
from harness.record import Record
from harness.run import Lab
from harness.scenario import load_scenarios
from harness.target import Target
from harness.verdict import Finding, Result, judged

# What an app has left open when its thread ends is its own; a child would have taken it along.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(autouse=True)
def _nothing_for_the_next_test_to_collect() -> Iterator[None]:
    yield
    gc.collect()


@contextmanager
def hosting_inline(loop: Loop) -> Iterator[InlineHost]:
    host = InlineHost(loop)
    try:
        yield host
    finally:
        host.stop()


@pytest.mark.parametrize("loop_name", LOOPS)
def test_it_takes_the_commands_of_a_child(loop_name: Loop, tmp_path: Path) -> None:
    with hosting_inline(loop_name) as host:
        assert host.command(do="describe", app=write_app(tmp_path, ANSWERS)) == {
            "loops": ["asyncio", "trio"],
            "number": 1,
        }
        url = mount(host, write_app(tmp_path, ANSWERS))
        assert ask(url) == b"ok"
        host.command(do="unmount", url=url)
        until(lambda: _refuses(url), "it is taken down")
        with pytest.raises(MissingError, match="there is no file"):
            mount(host, f"{tmp_path}/nowhere.py:build")
        with pytest.raises(StartError, match="the app raised at start"):
            mount(host, write_app(tmp_path, "def build(url):\n    1 / 0\n", "fails.py"))
        assert (host.state(), host.died()) == ("running", False)
    assert host.state() == "dead"
    assert host.died()


def _refuses(url: str) -> bool:
    try:
        ask(url)
    except (OSError, HTTPException):
        return True
    return False


def test_our_own_modules_stay_what_they_are(tmp_path: Path) -> None:
    """A child gives our names up for the app; here, others still need them."""
    ours = {
        name: module for name, module in sys.modules.items() if name.partition(".")[0] in ("harness", "fake_upstream")
    }
    with hosting_inline("asyncio") as host:
        mount(host, write_app(tmp_path, ANSWERS))
    assert {name: sys.modules[name] for name in ours} == ours


def test_a_thread_that_ended_says_of_what(tmp_path: Path) -> None:
    leaves = """
        import asyncio
        import sys

        async def app(scope, receive, send):
            if scope["type"] == "http":
                asyncio.get_running_loop().call_soon(sys.exit, "enough")
                await receive()

        def build(upstream_url):
            return app
    """
    with hosting_inline("asyncio") as host:
        url = mount(host, write_app(tmp_path, leaves))
        _refuses(url)
        until(lambda: host.state() == "dead", "its thread has ended")
        assert host.died()
        assert "the target's thread ended. It raised:" in host.epitaph()
        assert "SystemExit: enough" in host.epitaph()


def test_at_a_breakpoint_it_is_stopped_and_not_wedged(tmp_path: Path) -> None:
    """Then a wait that comes to nothing is unsound, and nobody is blamed for the time that we looked around."""
    breaks = """
        import bdb
        from threading import Event

        HERE, GO_ON = Event(), Event()

        def look_around():
            HERE.set()
            GO_ON.wait()

        async def app(scope, receive, send):
            assert scope["type"] == "http"
            bdb.Bdb().runcall(look_around)
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
            await send({"type": "http.response.body", "body": b"ok"})

        def build(upstream_url):
            return app
    """
    with hosting_inline("asyncio") as host:
        url = mount(host, write_app(tmp_path, breaks, "breaks.py"))
        module = sys.modules["streamproof_target_breaks"]
        answers: list[bytes] = []
        asking = Thread(target=lambda: answers.append(ask(url)))
        asking.start()
        assert module.HERE.wait(60)
        assert host.state() == "stopped"
        module.GO_ON.set()
        asking.join()
        assert answers == [b"ok"]
        assert host.state() == "running"


LEAKS = '''
    """Keeps the upstream's response whatever its client does."""

    import anyio

    from harness.proxies.reference import Head, Proxy, end_to_end

    KEPT = []


    class Keeps(Proxy):
        async def ask(self, request):
            response = await self.http.send(request, stream=True)
            KEPT.append(response)
            yield Head(response.status_code, end_to_end(response.headers.raw))
            with anyio.CancelScope(shield=True):
                async for data in response.aiter_raw():
                    yield data


    build = Keeps
'''


def perform(lab: Lab, target: Target, scenario: str, loop: Loop) -> Result:
    claim = load_scenarios()[scenario]
    return lab.judge(claim, lab.perform(claim, next(iter(claim.variants)), target, Pairing(loop, loop, loop)))


@pytest.mark.parametrize("loop_name", LOOPS)
def test_what_the_ledger_saw_stands_beside_what_the_wire_showed(loop_name: Loop, tmp_path: Path) -> None:
    spec = write_app(tmp_path, LEAKS, "keeps.py")
    with Lab(host=InlineHost) as lab:
        result = perform(lab, Target("keeps", spec), "disconnect/silent_upstream", loop_name)
        assert result.verdict == "fail"
        wire, *inside = result.findings
        assert "the proxy stayed" in wire.actual
        assert {finding.kind for finding in inside} == {"context"}
        assert "was entered at" in inside[0].actual
        assert f"{tmp_path.name}/keeps.py:13 by task" in inside[0].actual
        assert inside[0].actual.startswith("the upstream saw its connection open for ever; the context of POST http://")
        assert inside[0].actual.endswith("and never exited")
        whole = perform(lab, Target("keeps", spec), "closure/one_request", loop_name)
        assert (whole.verdict, whole.findings) == ("pass", ())


@pytest.mark.parametrize("loop_name", LOOPS)
@pytest.mark.parametrize("scenario", ["disconnect/silent_upstream", "truncation/status_kept", "closure/body_arrives"])
def test_the_reference_is_as_good_inline(loop_name: Loop, scenario: str) -> None:
    with Lab(host=InlineHost) as lab:
        target = Target("reference", "harness.proxies.reference:build")
        result = perform(lab, target, scenario, loop_name)
        assert (result.verdict, result.findings) == ("pass", ()), result
        assert result.record
        assert all(Context.from_json(data).enters for data in result.record.facts["contexts"])
        assert len(result.record.facts["contexts"]) >= 1


def test_the_command_hosts_inline(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    words = ["run", "--inline", "-k", "one_request", "--quick", "--loops", "asyncio,trio", "--json", str(report)]
    assert main(words) == 0
    assert {result["verdict"] for result in json.loads(report.read_text())["results"]} == {"pass"}


IN = Moment(1, "gateway.py:31", 5, "serve", 1, "trio")
KEPT = Context(1, "POST http://upstream/v1/audio/speech", IN, (IN,))
ELSEWHERE = replace(KEPT, exits=(replace(IN, place="gateway.py:40", task=6),))
HELD = exchange(LOCKSTEP, *emissions(LOCKSTEP, chunks=1), at_client(5, "left", note="reset"))


def findings(subject: Record, *said: Finding) -> list[str]:
    result = judged("A claim.", "required", "test/own", lambda record: said, subject)
    return [finding.actual for finding in result.findings if finding.kind == "context"]


def with_contexts(subject: Record, *contexts: Context) -> Record:
    return replace(subject, facts={"contexts": [context.to_json() for context in contexts]})


def test_a_connection_open_for_ever_is_told_with_the_place_where_it_was_opened() -> None:
    (said,) = findings(with_contexts(record(HELD), KEPT), Finding("a", "b"))
    assert said == (
        "the upstream saw its connection open for ever; the context of POST http://upstream/v1/audio/speech "
        "was entered at gateway.py:31 by task 5 (serve), and never exited"
    )


def test_a_context_that_was_closed_too_late_is_told_from_one_that_was_closed_in_time() -> None:
    """Too late: the client was gone, and patience spent; then the upstream went on, and its end was an end."""
    subject = record(HELD, waits=(wait("saw", "never", ended=3_000),))
    late = replace(KEPT, exits=(replace(IN, at=3_100 * MS, place="gateway.py:40"),))
    (said,) = findings(with_contexts(subject, late), Finding("a", "b"))
    assert said.startswith("the upstream saw its connection open for ever")
    assert said.endswith("entered at gateway.py:31 by task 5 (serve), and never exited")
    in_time = replace(late, exits=(replace(IN, at=20 * MS),))
    assert findings(with_contexts(subject, in_time), Finding("a", "b")) == []


def test_a_context_still_open_is_no_trouble_while_somebody_listens() -> None:
    listening = exchange(LOCKSTEP, *emissions(LOCKSTEP, chunks=1), at_client(3, "received", size=512))
    assert findings(with_contexts(record(listening), KEPT), Finding("a", "b")) == []
    assert len(findings(with_contexts(record(listening), ELSEWHERE), Finding("a", "b"))) == 1


def test_the_ledger_makes_no_verdict_of_its_own() -> None:
    """The same proxy gets the same verdict in a child, where nobody looks inside."""
    assert findings(with_contexts(record(conversation()), ELSEWHERE)) == []
    assert findings(record(HELD), Finding("a", "b")) == []

"""closure/deferred_stream: an app's own stream, put to the contract in a process of its own."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import conversation, judge, passes, script_of
from hosted import GUARD, gone, until, write_app
from test_judges_deferred import ERROR, GOOD, INNOCENT, WHOLE

from harness import hosting
from harness.deferred import Course
from harness.hosting import MissingError, StartError
from harness.loops import Loop, Pairing
from harness.mounts import Mounts
from harness.record import Record
from harness.run import Lab
from harness.scenario import load_scenarios
from harness.target import Target
from harness.verdict import Result

NAME = "closure/deferred_stream"
SCENARIO = load_scenarios()[NAME]
APP = """
    from harness.proxies.reference import Proxy
    import httpx

    async def speak(url, text):
        body = {"model": "tts-1", "voice": "alloy", "input": text}
        async with httpx.AsyncClient(trust_env=False, timeout=None) as http:
            async with http.stream("POST", f"{url}/audio/speech", json=body) as response:
                response.raise_for_status()
                async for data in response.aiter_raw():
                    yield data

    build = Proxy
"""
EAGER = """
    async def make_stream(url, text):
        stream = speak(url, text)
        first = await anext(stream)
        async def rest():
            yield first
            async for data in stream:
                yield data
        return rest()
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab() as made:
        yield made


def app(folder: Path, stream: str) -> Target:
    spec = write_app(folder, APP + stream)
    return Target(f"app:{spec}", spec)


def reach(lab: Lab, target: Target, target_loop: Loop, upstream_loop: Loop | None = None) -> Result:
    pairing = Pairing(upstream_loop or target_loop, target_loop, "asyncio")
    return lab.judge(SCENARIO, lab.perform(SCENARIO, "make_stream", target, pairing))


@pytest.mark.parametrize("upstream_loop", ["asyncio", "trio"])
def test_a_stream_of_ones_own_keeps_the_claim(lab: Lab, loop: Loop, tmp_path: Path, upstream_loop: Loop) -> None:
    result = reach(lab, app(tmp_path, "    make_stream = speak"), loop, upstream_loop)
    assert (result.verdict, result.reason) == ("pass", "")
    assert result.record is not None
    assert len(result.record.facts["courses"]) > 20


def test_a_stream_that_is_opened_where_it_is_made_fails_by_its_clauses(lab: Lab, loop: Loop, tmp_path: Path) -> None:
    result = reach(lab, app(tmp_path, EAGER), loop)
    assert result.verdict == "fail"
    lazy = result.findings[0]
    assert (lazy.kind, lazy.expected) == ("lazy", "Nothing is requested before the first pull.")
    assert "the upstream was asked before anything was pulled: entered at " in lazy.actual
    assert "gateway.py:" in lazy.actual
    assert lazy.hint == "the upstream is asked where the stream is made, not at the first pull"
    assert "unopened" in {finding.kind for finding in result.findings}


def test_a_record_is_judged_again_from_its_trace(lab: Lab, tmp_path: Path) -> None:
    result = reach(lab, app(tmp_path, EAGER), "trio")
    assert result.record is not None
    again = Record.from_json(json.loads(json.dumps(result.record.to_json())))
    assert lab.judge(SCENARIO, again).findings == result.findings


def test_an_app_without_a_stream_is_skipped_and_asked_once(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = app(tmp_path, "")
    asked: list[Loop] = []
    host_apart = Mounts._host_apart

    def counted(self: Mounts, loop: Loop, new_host: type[hosting.Host]) -> hosting.Host:
        asked.append(loop)
        return host_apart(self, loop, new_host)

    monkeypatch.setattr(Mounts, "_host_apart", counted)
    for loop in ("asyncio", "trio"):
        result = reach(lab, target, loop)  # type: ignore[arg-type]
        assert result.verdict == "skipped"
        assert "gateway.py has no make_stream(url, text); docs/deferred-streams.md says what it is" in result.reason
    assert asked == ["asyncio"]


def test_a_program_has_no_stream_to_offer(lab: Lab) -> None:
    with pytest.raises(MissingError, match="about a stream that an app's module offers, and the target is a program"):
        lab._mounts.inspect(Target("nginx", ""), Pairing("asyncio", None, "asyncio"))


def test_what_is_no_stream_cannot_be_judged_and_is_named(lab: Lab, loop: Loop, tmp_path: Path) -> None:
    result = reach(lab, app(tmp_path, "    def make_stream(url, text): return 7"), loop)
    assert result.verdict == "unsound"
    assert "make_stream gave 7: give something with" in result.reason


def test_a_stream_that_blocks_its_loop_is_given_up_and_nothing_is_left(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = f"""
    import os, pathlib, time
    async def make_stream(url, text):
        pathlib.Path({str(tmp_path / "pid")!r}).write_text(str(os.getpid()))
        time.sleep({GUARD})
        yield b""
    """
    target = app(tmp_path, blocks)
    with Lab() as lab:
        lab.perform(load_scenarios()["fidelity/answers"], "plain", target, Pairing(loop, loop, "asyncio"))
        monkeypatch.setattr(hosting, "LONGEST_MOUNT", 3.0)
        result = reach(lab, target, loop)
        assert result.verdict == "unsound"
        assert "no sign of life" in result.reason
        assert lab._mounts._apart == []
    assert gone(int((tmp_path / "pid").read_text()))


def test_whoever_waits_for_the_contract_hears_of_the_end_of_the_run(tmp_path: Path) -> None:
    target, heard = app(tmp_path, "    make_stream = speak"), []
    pairing = Pairing("asyncio", "trio", "asyncio")

    def inspect() -> None:
        try:
            lab._mounts.inspect(target, pairing)
        except StartError as error:
            heard.append(error)

    with Lab() as lab:
        thread = threading.Thread(target=inspect)
        thread.start()
        until(lambda: bool(lab._mounts._apart), "the process of the contract is there")
    thread.join(GUARD)
    assert len(heard) == 1
    with pytest.raises(StartError, match="the run is over"):
        lab._mounts.inspect(target, pairing)


@pytest.mark.parametrize("course", [*INNOCENT, ERROR, WHOLE], ids=lambda course: course.name)
def test_a_course_survives_its_json(course: Course) -> None:
    assert Course.from_json(json.loads(json.dumps(course.to_json()))) == course


def test_a_clause_is_told_by_its_first_course_and_the_number_of_others() -> None:
    early = Course(GOOD.moment, GOOD.end, 100, asked=(5,), first_pull=10, ended_at=30, received=100)
    facts = {"courses": [early.to_json()] * 3}
    outcome = judge(NAME, conversation(script_of(NAME)), facts=facts)
    assert outcome.findings[0].actual == (
        "aclose(), between pulls: the upstream was asked before anything was pulled (and 2 courses more like this)"
    )
    assert passes(judge(NAME, conversation(script_of(NAME)), facts={"courses": [GOOD.to_json()]}))

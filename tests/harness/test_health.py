"""What a fault did to a target is not blamed on the next claim; a target that never answered is judged as it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import anyio
import httpx
import pytest
from gateways import command, gateway
from hosted import GUARD, gone, write_app

from fake_upstream import faults
from fake_upstream.pacing import burst
from fake_upstream.script import Script
from harness import health
from harness.health import Health
from harness.loops import Loop, Pairing
from harness.run import Lab
from harness.scenario import Scenario
from harness.stage import Stage
from harness.target import Target, parse_targets

SCRIPT = Script(burst(2, 512), content_type="audio/mpeg")


class Answers:
    """One answer after the other; the last one for ever."""

    def __init__(self, *answers: bool | Exception) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, http: httpx.AsyncClient) -> bool:
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_a_target_that_answers_is_asked_once_a_staging(loop: Loop) -> None:
    ask, watched = Answers(True), Health()
    assert [await watched.complaint(ask, "a"), await watched.complaint(ask, "b")] == ["", ""]
    assert ask.asked == 2


async def test_a_target_that_never_answered_is_judged_as_it_is_and_left_alone(loop: Loop) -> None:
    ask, watched = Answers(False), Health()
    assert [await watched.complaint(ask, name) for name in "abc"] == ["", "", ""]
    assert ask.asked == 1


@pytest.mark.parametrize(
    "trouble", [False, httpx.ReadError("cut"), httpx.RemoteProtocolError("what?"), httpx.ConnectError("refused")]
)
async def test_a_target_that_recovers_is_waited_for(loop: Loop, trouble: bool | Exception) -> None:
    ask, watched = Answers(True, trouble, trouble, True), Health()
    assert [await watched.complaint(ask, name) for name in "ab"] == ["", ""]
    assert ask.asked == 4


async def test_a_target_that_does_not_recover_is_not_judged_and_it_is_said_after_what(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "RECOVERY", 0)
    ask, watched = Answers(True, False), Health()
    assert await watched.complaint(ask, "truncation/cut[fin]") == ""
    assert await watched.complaint(ask, "delivery/lockstep[x]") == (
        "the target did not answer a plain request within 0 s after truncation/cut[fin], as it had before"
    )


async def test_a_target_that_comes_back_later_is_judged_again(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "RECOVERY", 0)
    monkeypatch.setattr(health, "LONGEST_ANSWER", 30)
    ask, watched = Answers(True, False, True), Health()
    said = [bool(await watched.complaint(ask, name)) for name in "abcd"]
    assert said == [False, True, False, False]


async def test_a_target_that_was_proven_ready_is_watched_from_the_first(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "RECOVERY", 0)
    watched = Health(known=True)
    assert await watched.complaint(Answers(False), "a") == (
        "the target did not answer a plain request within 0 s after it was ready, as it had before"
    )


async def test_a_target_that_hangs_is_not_waited_for_for_ever(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hangs(http: httpx.AsyncClient) -> bool:
        await anyio.sleep_forever()
        return True

    monkeypatch.setattr(health, "RECOVERY", 0)
    monkeypatch.setattr(health, "LONGEST_ANSWER", 0.05)
    assert await Health(known=True).complaint(hangs, "a")


COOLS_DOWN = """
from harness.proxies.reference import *
class CoolsDown(Proxy):
    '''After an upstream failure it refuses, without asking, until it has been asked so many times.'''
    until = 0
    async def upstream_failed(self, send, started):
        self.until = PATIENCE
        await super().upstream_failed(send, started)
    async def ask(self, request):
        if self.until:
            self.until -= 1
            yield Head(503, [])
            return
        async for item in deferred_stream(self.http, request):
            yield item
build = CoolsDown
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab() as made:
        yield made


async def cut(stage: Stage) -> None:
    client, _ = await stage.ask(stage.variant)
    await client.ends()


def staged(**fields: object) -> Scenario:
    plain = Scenario("test/own", "A claim.", "required", ("why",), {"v": SCRIPT}, lambda record: (), cut)  # type: ignore[arg-type]
    return replace(plain, **fields)  # type: ignore[arg-type]


CUT = staged(id="test/cut", variants={"v": faults.cut(SCRIPT)})


def app(folder: Path, code: str) -> Target:
    spec = write_app(folder, code)
    return Target(f"app:{spec}", spec)


def test_a_target_that_cools_down_is_waited_for_before_the_next_staging(
    lab: Lab, loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the 503 of the cool-down would be blamed on the next claim."""
    monkeypatch.setattr(health, "RECOVERY", GUARD)
    monkeypatch.setattr(health, "LONGEST_ANSWER", GUARD)
    target, pairing = app(tmp_path, COOLS_DOWN.replace("PATIENCE", "5")), Pairing(loop, loop, loop)
    first = lab.perform(CUT, "v", target, pairing)
    assert first.exchanges[0].over is not None
    assert first.exchanges[0].over.what == "broke"
    second = lab.perform(staged(), "v", target, pairing)
    assert (second.unsound, second.exchanges[0].status) == ("", 200)


def test_a_target_that_stays_cool_is_unsound_and_gets_a_fresh_start(
    lab: Lab, loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "RECOVERY", 0)
    monkeypatch.setattr(health, "LONGEST_ANSWER", GUARD)
    target, pairing = app(tmp_path, COOLS_DOWN.replace("PATIENCE", "10**9")), Pairing(loop, loop, loop)
    lab.perform(CUT, "v", target, pairing)
    second = lab.perform(staged(), "v", target, pairing)
    assert second.unsound == (
        "the target did not answer a plain request within 0 s after test/cut[v], as it had before"
    )
    assert second.exchanges == ()
    assert lab.judge(staged(), second).verdict == "unsound"
    third = lab.perform(staged(), "v", target, pairing)
    assert (third.unsound, third.exchanges[0].status) == ("", 200)


def test_an_app_that_answers_nobody_is_judged_as_it_is(lab: Lab, loop: Loop, tmp_path: Path) -> None:
    target = app(tmp_path, COOLS_DOWN.replace("until = 0", "until = 10**9"))
    for _ in range(2):
        record = lab.perform(staged(), "v", target, Pairing(loop, loop, loop))
        assert (record.unsound, record.exchanges[0].status) == ("", 503)


def test_a_program_of_ours_that_stays_cool_is_started_anew(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "RECOVERY", 0)
    code = "import os, pathlib\npathlib.Path(__file__).with_name('pids').open('a').write(f'{os.getpid()}\\n')\n"
    path = gateway(tmp_path, code + COOLS_DOWN.replace("PATIENCE", "10**9"))
    (target,) = parse_targets(command(path))
    pairing = Pairing("asyncio", None, "asyncio")
    monkeypatch.setenv("PYTHONPATH", str(Path(health.__file__).parents[1]))
    lab.perform(CUT, "v", target, pairing)
    assert lab.perform(staged(), "v", target, pairing).unsound
    assert lab.perform(staged(), "v", target, pairing).unsound == ""
    first, second = (int(line) for line in (tmp_path / "pids").read_text().split())
    assert gone(first)
    assert not gone(second)

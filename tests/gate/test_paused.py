"""A child that is paused in mid-run changes no verdict: a pause of the target is no patience spent."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

import pytest

from harness.declared import Cell
from harness.loops import Loop, Pairing
from harness.run import Lab
from harness.scenario import load_scenarios
from harness.target import parse_target

PAUSE = 1.0


@contextmanager
def paused_now_and_then(lab: Lab, loop: Loop) -> Iterator[list[int]]:
    """Stop the child for a second, again and again, with a short breath between; counts the pauses."""
    done, pauses = Event(), [0]

    def disturb() -> None:
        while not done.wait(0.3):
            host = lab.host_of(loop)
            if host and host.state() == "running":
                host.process.send_signal(signal.SIGSTOP)
                done.wait(PAUSE)
                host.process.send_signal(signal.SIGCONT)
                pauses[0] += 1

    thread = Thread(target=disturb)
    thread.start()
    try:
        yield pauses
    finally:
        done.set()
        thread.join()


def test_the_reference_still_passes_everything(loop: Loop) -> None:
    with Lab() as lab:
        lab.loops_of(parse_target("reference"))
        with paused_now_and_then(lab, loop) as pauses:
            verdicts = {
                scenario.id: lab.judge(
                    scenario,
                    lab.perform(
                        scenario, next(iter(scenario.variants)), parse_target("reference"), Pairing(loop, loop, loop)
                    ),
                ).verdict
                for scenario in load_scenarios().values()
                if not scenario.slow
            }
    assert pauses[0] > 0
    assert verdicts == dict.fromkeys(verdicts, "pass")


@pytest.mark.parametrize(
    ("specimen", "scenario"), [("regroups_8k", "delivery/lockstep"), ("deaf", "delivery/lockstep")]
)
def test_a_specimen_gets_its_verdict_all_the_same(loop: Loop, specimen: str, scenario: str) -> None:
    variant = next(iter(load_scenarios()[scenario].variants))
    cell = Cell(f"specimen:{specimen}", scenario, variant, Pairing(loop, loop, loop))
    with Lab() as lab, paused_now_and_then(lab, loop) as pauses:
        result = cell.reach(lab)
        if cell.declared == "fail":
            assert pauses[0] > 0
    assert result.verdict == cell.declared

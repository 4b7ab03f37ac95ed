"""Specimen × scenario × loop: what the verdicts must be, and a crew that reaches them side by side."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module

from harness.loops import LOOPS, Loop, Pairing
from harness.run import Lab
from harness.scenario import load_scenarios
from harness.target import parse_target, specimen_names
from harness.verdict import Result

CREW = 16
"""Most of a failing verdict is waiting, so many at a time fit on two cores."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One verdict on a specimen: the scenario's first variant, all stations on one loop."""

    specimen: str
    scenario: str
    loop: Loop

    def __str__(self) -> str:
        return f"{self.specimen}-{self.scenario}-{self.loop}"

    @property
    def declared(self) -> str:
        """What the specimen says of itself."""
        return "fail" if self.scenario in catches(self.specimen) else "pass"

    def reach(self, lab: Lab) -> Result:
        scenario = load_scenarios()[self.scenario]
        target = parse_target(f"specimen:{self.specimen}")
        pairing = Pairing(self.loop, self.loop, self.loop)
        record = lab.perform(scenario, next(iter(scenario.variants)), target, pairing, fresh=True)
        return lab.judge(scenario, record)


def catches(specimen: str) -> tuple[str, ...]:
    declared: tuple[str, ...] = import_module(f"harness.specimens.{specimen}").CATCHES
    return declared


def cells() -> list[Cell]:
    """All that decide something; the slow ones only where they must fail, or the matrix would take hours."""
    claims = [scenario for scenario in load_scenarios().values() if scenario.kind != "observed"]
    return [
        Cell(name, claim.id, loop)
        for name in specimen_names()
        for claim in claims
        if not claim.slow or claim.id in catches(name)
        for loop in LOOPS
    ]


@contextmanager
def crew(lab: Lab, wanted: list[Cell]) -> Iterator[dict[Cell, Future[Result]]]:
    """All cells under way; a cell's future has its result."""
    with ThreadPoolExecutor(CREW) as pool:
        try:
            yield {cell: pool.submit(cell.reach, lab) for cell in wanted}
        finally:
            pool.shutdown(cancel_futures=True)

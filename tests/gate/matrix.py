"""Specimen × scenario × loop: what the verdicts must be, and a crew that reaches them side by side."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from harness.declared import Cell, cells_of, innocents, specimens
from harness.loops import LOOPS, Pairing
from harness.run import Lab
from harness.verdict import Result

CREW = 16
"""Most of a failing verdict is waiting, so many at a time fit on two cores."""
ALIKE = tuple(Pairing(loop, loop, loop) for loop in LOOPS)


def cells() -> list[Cell]:
    """The first variant of each claim on every specimen and every innocent, all stations on one loop."""
    return [cell for target in (*specimens(), *innocents()) for cell in cells_of(target, ALIKE)]


def name_of(cell: Cell) -> str:
    """As in `-k`: deaf-delivery/lockstep-trio."""
    return f"{cell.target.partition(':')[2]}-{cell.scenario}-{cell.pairing.target}"


@contextmanager
def crew(lab: Lab, wanted: list[Cell]) -> Iterator[dict[Cell, Future[Result]]]:
    """All cells under way; a cell's future has its result."""
    with ThreadPoolExecutor(CREW) as pool:
        try:
            yield {cell: pool.submit(cell.reach, lab) for cell in wanted}
        finally:
            pool.shutdown(cancel_futures=True)

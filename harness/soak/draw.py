"""What is soaked, and in which order: the seed and a number say which verdict is reached next. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from random import Random

from harness.declared import Cell, cells_of, innocents, specimens
from harness.loops import LOOPS, Pairing
from harness.scenario import load_scenarios

PAIRINGS = tuple(Pairing(*loops) for loops in product(LOOPS, repeat=3))
WEIGHTS = {"reference": 40, "innocent": 25, "kept": 28, "broken": 7}
"""How often each kind of verdict is drawn, in 100. What a specimen breaks costs patience, 3 to 20 s of waiting and of
canaries, where others take a tenth of a second; evenly drawn, hardly anything else would be under way."""
COSTLY = ("closure/closes_at_end", "closure/clean_unwinding", "closure/slots_return", "disconnect/active_upstream")
COSTLY_FAMILIES = ("pressure",)
SELDOM = 0.2
"""Of the costly ones, hundreds of megabytes or requests each, so many are drawn, for 1 of any other."""


@dataclass(frozen=True, slots=True)
class Draw:
    """One verdict to be reached. `fresh` gives it an app and an upstream of its own; else it has company on both."""

    number: int
    cell: Cell
    fresh: bool


class Deck:
    """All verdicts that may be drawn, by kind."""

    def __init__(self, targets: Sequence[str] = (), holds: str = "") -> None:
        """Of these targets, or of all that are ours; only what has this text in its name."""
        self.kinds: Mapping[str, list[Cell]] = _sorted_out(
            cell
            for target in targets or ("reference", *innocents(), *specimens())
            for cell in cells_of(target, PAIRINGS, every_variant=not target.startswith("specimen:"))
            if holds in str(cell)
        )

    @property
    def name(self) -> str:
        """Changes where another verdict could be drawn: another catalogue, other variants, other targets."""
        cells = "\n".join(f"{kind} {cell}" for kind, cells in self.kinds.items() for cell in cells)
        rules = (WEIGHTS, COSTLY, COSTLY_FAMILIES, SELDOM)
        return hashlib.sha256(f"{rules} {cells}".encode()).hexdigest()[:12]

    def draw(self, seed: int, number: int) -> Draw:
        """The verdict with this number, from 0. The deck must not be empty."""
        dice = Random(f"{seed}/{number}")
        kinds = list(self.kinds)
        (kind,) = dice.choices(kinds, [WEIGHTS[kind] for kind in kinds])
        cells = iter(lambda: dice.choice(self.kinds[kind]), None)
        cell = next(cell for cell in cells if not is_costly(cell.scenario) or dice.random() < SELDOM)
        # A specimen may be spoilt by what came before, as it declares; and who must be alone would keep all waiting.
        alone = kind in ("kept", "broken") or load_scenarios()[cell.scenario].alone
        return Draw(number, cell, alone or dice.random() < 0.5)


def is_costly(scenario: str) -> bool:
    return scenario in COSTLY or scenario.partition("/")[0] in COSTLY_FAMILIES


def _sorted_out(cells: Iterable[Cell]) -> dict[str, list[Cell]]:
    kinds: dict[str, list[Cell]] = {kind: [] for kind in WEIGHTS}
    for cell in cells:
        kind = cell.target.partition(":")[0]
        kinds[kind if kind in kinds else "kept" if cell.declared == "pass" else "broken"].append(cell)
    return {kind: cells for kind, cells in kinds.items() if cells}

"""What a soak has found so far, kept in a file a line a verdict, so that it can be gone on with. Pure but for the file.

The first line says what is soaked: {"schema": 1, "seed": 7, "deck": "0f3a…"}. Then, in the order in which they came:
{"number": 12, "cell": "specimen:deaf disconnect/…[reset] upstream=…", "declared": "fail", "verdict": "fail",
"seconds": 10.4, "reason": ""}. A last line that was cut is as if it had not been written.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from math import sqrt
from pathlib import Path

from harness.verdict import Verdict

SCHEMA = 1
Z = 1.645
"""One-sided, 95 %."""


class StateError(ValueError):
    """A state file that cannot be gone on with. The message says why and what would do."""


@dataclass(frozen=True, slots=True)
class Reached:
    """One verdict that was reached."""

    number: int
    cell: str
    declared: Verdict
    verdict: Verdict
    seconds: float
    reason: str = ""

    @property
    def wrong(self) -> bool:
        """Not as declared. What could not be judged is not wrong; it is counted by itself."""
        return self.verdict not in (self.declared, "unsound", "skipped")

    @property
    def suspect(self) -> str:
        """The cell without its loops: on whichever it is wrong, it is the same suspicion."""
        return self.cell.rpartition(" ")[0]


@dataclass
class Tally:
    """All verdicts by number."""

    seed: int
    deck: str
    reached: dict[int, Reached] = field(default_factory=dict)

    def add(self, one: Reached) -> None:
        self.reached[one.number] = one

    def missing(self, verdicts: int) -> Iterator[int]:
        """The numbers still to be drawn."""
        return (number for number in range(verdicts) if number not in self.reached)

    @property
    def wrong(self) -> list[Reached]:
        return [one for one in self.reached.values() if one.wrong]

    @property
    def unsound(self) -> list[Reached]:
        return [one for one in self.reached.values() if one.verdict == "unsound"]

    def rate(self) -> tuple[float, float]:
        """The share of wrong verdicts among those that were judged, and the most that it may be in truth (Wilson)."""
        judged = sum(one.verdict not in ("unsound", "skipped") for one in self.reached.values())
        if not judged:
            return 0.0, 1.0
        share = len(self.wrong) / judged
        spread = Z * sqrt(share * (1 - share) / judged + Z**2 / (4 * judged**2))
        return share, (share + Z**2 / (2 * judged) + spread) / (1 + Z**2 / judged)

    def lines(self) -> list[str]:
        """What there is to say: the counts, the rate, the suspects, and each one that could not be judged."""
        counts = Counter(one.verdict for one in self.reached.values())
        each = Counter(one.suspect for one in self.reached.values())
        said = ", ".join(f"{counts[verdict]:,} {verdict}" for verdict in sorted(counts))
        share, most = self.rate()
        lines = [
            f"{len(self.reached):,} verdicts of seed {self.seed}: {said or 'none yet'}",
            f"{len(self.wrong):,} wrong: {10_000 * share:.1f} in 10,000, at most {10_000 * most:.1f} (95 %)",
        ]
        for suspect, times in Counter(one.suspect for one in self.wrong).most_common():
            found = next(one for one in self.wrong if one.suspect == suspect)
            lines.append(f"  suspect  {suspect}: {times} of {each[suspect]} wrong; declared {found.declared}")
            lines.append(f"           {rerun(found.cell)}")
        return [*lines, *(f"  unsound  {one.cell}: {one.reason.strip()}" for one in self.unsound)]


def rerun(cell: str) -> str:
    """The command that reaches the verdict on a cell again."""
    target, name, loops = cell.split(" ")
    return f"streamproof run --target {target} -k '{name}' --loops {loops}"


def begin(path: Path, seed: int, deck: str) -> Tally:
    """A new state file. Raises StateError where there is one: it may hold hours."""
    try:
        with path.open("x", encoding="utf-8") as file:
            print(json.dumps({"schema": SCHEMA, "seed": seed, "deck": deck}), file=file)
    except FileExistsError:
        raise StateError(f"--state {str(path)!r}: there is one; add --resume to go on, or name another") from None
    except OSError as error:
        raise StateError(f"--state {str(path)!r}: {error.strerror}; name a file in a folder that exists") from None
    return Tally(seed, deck)


def resume(path: Path, deck: str) -> Tally:
    """What a state file holds. Raises StateError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise StateError(f"--state {str(path)!r}: {error.strerror}; without --resume a new one is begun") from None
    head, *lines = text.split("\n")
    try:
        said = json.loads(head)
        schema, tally = said["schema"], Tally(int(said["seed"]), str(said["deck"]))
    except (ValueError, KeyError, TypeError):
        raise StateError(f"--state {str(path)!r}: its first line is none of a soak; name another file") from None
    if schema != SCHEMA:
        raise StateError(f"--state {str(path)!r}: field 'schema' is {schema!r}, this version goes on with {SCHEMA}")
    if tally.deck != deck:
        raise StateError(f"--state {str(path)!r}: field 'deck' differs: other scenarios, targets or -k; begin anew")
    for line in lines[:-1]:  # behind the last line end stands nothing, or a line that was cut
        tally.add(Reached(**json.loads(line)))
    if lines and lines[-1]:
        path.write_text(text.removesuffix(lines[-1]), encoding="utf-8")
    return tally


def keep(path: Path, one: Reached) -> None:
    """Append a verdict."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(one), ensure_ascii=False) + "\n")

"""What the arrivals of one stream say of the way it took, seen from the client alone. Pure.

That is evidence, not proof: an upstream that has everything ready sends it at once, and a proxy that holds nothing
back then looks like one that holds back all. Proof takes both ends: `streamproof run`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Literal

from harness.evidence import count

Manner = Literal["streams", "regroups", "buffers", "unknown"]
AT_ONCE = 0.05
"""Of the time from the request to the end: a body that came within so little of it came at once."""
MOMENT = 20_000_000
"""ns; what came within a moment came at once too, however short the whole was."""
TOGETHER = 0.25
"""Of the mean gap: reads that are closer came in one burst. An even stream is so many bursts, however many reads."""
QUANTA = tuple(2**n for n in range(18, 9, -1))
"""Sizes of buffers, in bytes, 256 KB down to 1 KB."""
FEWEST_BURSTS = 3
BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Arrivals:
    """One response: when (ns) it was asked for, when its head came, each read with its size in bytes, the end."""

    asked: int
    head: int
    reads: tuple[tuple[int, int], ...]
    end: int
    complete: bool = True

    @property
    def size(self) -> int:
        return sum(size for _, size in self.reads)

    @property
    def gaps_ms(self) -> list[float]:
        """Between one read and the next; zero gaps are kept, they tell of coalescing."""
        return [(b - a) / 1e6 for (a, _), (b, _) in pairwise(self.reads)]

    @property
    def spread(self) -> int:
        """From the first read to the last, in ns."""
        return self.reads[-1][0] - self.reads[0][0] if self.reads else 0

    def bursts(self) -> list[tuple[int, int]]:
        """Reads that came together, as one: when the first of them came, and the bytes of all."""
        together = TOGETHER * self.spread / max(1, len(self.reads) - 1)
        found: list[tuple[int, int]] = []
        last = None
        for at, size in self.reads:
            if last is not None and at - last <= together:
                found[-1] = (found[-1][0], found[-1][1] + size)
            else:
                found.append((at, size))
            last = at
        return found

    def metrics(self) -> dict[str, float]:
        """Milliseconds and bytes; what was not measured is not there."""
        found = {"stream_setup_latency_ms": (self.head - self.asked) / 1e6, "bytes": float(self.size)}
        if self.reads:
            found["time_to_first_chunk_ms"] = (self.reads[0][0] - self.asked) / 1e6
            found["reads"] = float(len(self.reads))
        if gaps := self.gaps_ms:
            found |= {"inter_chunk_latency_p50_ms": median(gaps), "inter_chunk_latency_max_ms": max(gaps)}
        found["request_latency_ms"] = (self.end - self.asked) / 1e6
        return found

    def manner(self) -> tuple[Manner, str]:
        """How it came, and the evidence."""
        if not self.reads:
            return "unknown", "no byte of a body came"
        bursts, total = self.bursts(), max(1, self.end - self.asked)
        waited = (self.reads[0][0] - self.asked) / 1e6
        if self.spread <= max(AT_ONCE * total, MOMENT):
            said = f"{count(self.size)} came within {self.spread / 1e6:.1f} ms, after {waited:.1f} ms of nothing"
            return "buffers", f"{said}; or the upstream had it all ready: ask for a longer text to tell"
        if quantum := _quantum([size for _, size in bursts]):
            return "regroups", (
                f"it came in {len(bursts)} bursts of multiples of {quantum:,} bytes; "
                f"that is a buffer's size, if it is not the upstream's own"
            )
        return "streams", (
            f"it came in {len(bursts)} bursts over {self.spread / 1e6:.0f} of {total / 1e6:.0f} ms, "
            f"the first after {waited:.1f} ms"
        )

    def picture(self, width: int = 60) -> str:
        """Bytes over time, from the request to the end."""
        total = max(1, self.end - self.asked)
        columns = [0] * width
        for at, size in self.reads:
            columns[min(width - 1, (at - self.asked) * width // total)] += size
        most = max(columns)
        return "".join(" " if not c else BARS[(c * len(BARS) - 1) // most] for c in columns)


def _quantum(sizes: Sequence[int]) -> int:
    """The largest buffer size of which every burst but the last is a multiple; 0 if there is none."""
    if len(sizes) < FEWEST_BURSTS:
        return 0
    return next((quantum for quantum in QUANTA if all(size % quantum == 0 for size in sizes[:-1])), 0)

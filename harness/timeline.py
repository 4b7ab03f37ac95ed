"""Pictures in text: each chunk's way as a bar, or both ends' events as a transcript. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby

from fake_upstream.events import Event
from harness.deliveries import Delivery, deliveries
from harness.evidence import count
from harness.record import Exchange

WIDTH = 30
MOST_ROWS = 8
MOST_EVENTS = 14


def timeline(exchange: Exchange, until: int | None = None) -> list[str]:
    """A row a chunk: E where it was emitted, R where the client held it, ? where it never did.

    `until` is when patience was spent: what came later had to be released first, and does not count.
    """
    events = [event.at for event in (*exchange.upstream, *exchange.client)]
    end = max(events, default=0) if until is None else until
    rows = [row for row in deliveries(exchange) if row.emitted is not None and row.emitted <= end]
    if not rows:
        return []
    begin = min(row.emitted for row in rows if row.emitted is not None)
    rows = [replace(row, received=None) if row.received and row.received > end else row for row in rows]
    lines = [_bar(row, begin, max(end, begin + 1)) for row in rows[:MOST_ROWS]]
    return [*lines, f"… {len(rows) - MOST_ROWS:,} chunks more"] if len(rows) > MOST_ROWS else lines


def _bar(row: Delivery, begin: int, end: int) -> str:
    def place(time: int) -> int:
        return round((time - begin) / (end - begin) * (WIDTH - 1))

    assert row.emitted is not None
    line = [" "] * WIDTH
    start = place(row.emitted)
    stop = WIDTH - 1 if row.received is None else max(start, place(row.received))  # a proxy may answer unasked
    line[start:stop] = "─" * (stop - start)
    line[start] = "E"
    if row.received is None:
        line[stop], after = "?", "never"
    else:
        line[stop], after = ("R" if stop > start else "="), f"{(row.received - row.emitted) / 1e6:.1f} ms"
    return f"{row.chunk:>2} |{''.join(line)}|  {after}"


def transcript(exchange: Exchange) -> list[str]:
    """Both ends in one list, in order, milliseconds since the request reached the upstream (or was sent)."""
    both = sorted(
        [("upstream", event) for event in exchange.upstream if event.what not in ("accepted", "recycled", "closed")]
        + [("client", event) for event in exchange.client],
        key=lambda pair: pair[1].at,
    )
    if not both:
        return ["nothing was recorded at either end"]
    begin = both[0][1].at
    lines = list(_lines(both, begin))
    if len(lines) > MOST_EVENTS:
        lines = [*lines[: MOST_EVENTS - 4], f"{'…':>10}  {len(lines) - MOST_EVENTS + 1:,} events more", *lines[-3:]]
    return lines


def _lines(both: list[tuple[str, Event]], begin: int) -> Iterator[str]:
    for (end, what), run in groupby(both, key=lambda pair: (pair[0], pair[1].what)):
        events = [event for _, event in run]
        first = events[0]
        detail = "; ".join(dict.fromkeys(event.note for event in events if event.note))
        if what in ("emitted", "received"):
            detail = count(sum(event.size or 0 for event in events))
        elif what == "released":
            detail = count(sum(event.size or 0 for event in events), "gate")
        times = f" ×{len(events)}" if len(events) > 1 else ""
        yield f"{(first.at - begin) / 1e6:>7.1f} ms  {end:<8}  {what}{times}{'  ' + detail if detail else ''}"

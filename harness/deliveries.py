"""Deliveries: the two ends' events aligned, one row a chunk. Pure; the heart of every verdict.

Aligned by cumulative bytes, never by chunk boundaries: a proxy may cut the stream up as it likes. How many
items the client read proves nothing; only what it held when does.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.record import Exchange


@dataclass(frozen=True, slots=True)
class Delivery:
    """One chunk on its way. Times in ns, None where it never got that far.

    `end` is the body offset behind the chunk. `emitted` is just before the write, `written` just after;
    `received` is when the client held all bytes up to `end`.
    """

    chunk: int
    size: int
    end: int
    scheduled: int | None = None
    emitted: int | None = None
    written: int | None = None
    received: int | None = None

    @property
    def forwarding_delay(self) -> int | None:
        """What the way took, in ns: received − emitted."""
        return None if self.emitted is None or self.received is None else self.received - self.emitted


def deliveries(exchange: Exchange) -> tuple[Delivery, ...]:
    """A row for each chunk of the script. Where the target asked more than once, its first answered attempt counts."""
    answered = next((event.request for event in exchange.seen("head_sent", "emitted")), None)
    emitted = {e.chunk: e for e in exchange.seen("emitted") if e.request == answered}
    arrivals = iter([event for event in exchange.client if event.what == "received"])
    held, at = 0, None
    rows = []
    for index, (chunk, end) in enumerate(zip(exchange.script.chunks, exchange.script.ends, strict=True)):
        while held < end and (arrival := next(arrivals, None)) is not None:
            held, at = held + (arrival.size or 0), arrival.at
        sent = emitted.get(index)
        rows.append(
            Delivery(
                index,
                chunk.size,
                end,
                scheduled=sent.planned if sent else None,
                emitted=sent.at if sent else None,
                written=sent.until if sent else None,
                received=at if held >= end else None,
            )
        )
    return tuple(rows)

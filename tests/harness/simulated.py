"""A staging in which upstream, proxy and client are functions: a scenario's own `play` and `judge`, and no sockets.

The upstream plays the script and heeds its gates; a `Way` says what the proxy makes of the bytes; the client writes
down what comes. A wait comes out by what has come: who waits in vain has waited for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from itertools import count, cycle, pairwise
from typing import Any, Protocol
from unittest.mock import patch

from builders import PAIRING
from rehearsal import Rehearsal

from fake_upstream.audio import prefix
from fake_upstream.events import Event
from fake_upstream.script import Step
from harness.record import Goal, Outcome, Record, Wait
from harness.scenario import Scenario, load_scenarios
from harness.stage import Stage
from harness.staged import StagedClient, StagedUpstream
from harness.verdict import Result, judged

CLEAN = ("finish", "half_close")


class Way(Protocol):
    """What a proxy does to the body of one response."""

    def take(self, data: bytes) -> Iterable[bytes]:
        """What comes out, read by read, when these bytes go in."""
        ...

    def end(self, clean: bool) -> tuple[Iterable[bytes], str]:
        """What comes out at the end of what goes in, and how the client's response goes on: ended, broke, or ""."""
        ...


class Faithful:
    """Everything at once, in pieces of these sizes, over and over."""

    def __init__(self, *sizes: int) -> None:
        self.sizes = sizes or (1 << 30,)

    def take(self, data: bytes) -> Iterator[bytes]:
        at = 0
        while at < len(data):
            for size in self.sizes:
                if piece := data[at : at + size]:
                    yield piece
                at += size

    def end(self, clean: bool) -> tuple[Iterable[bytes], str]:
        return (), "ended" if clean else "broke"


class Holding(Faithful):
    """Of n bytes that went in, `out(n)` have come out; the rest comes at the end."""

    def __init__(self, out: Callable[[int], int]) -> None:
        super().__init__()
        self.out = out
        self.came = b""
        self.sent = 0

    def take(self, data: bytes) -> Iterator[bytes]:
        self.came += data
        new, self.sent = self.came[self.sent : self.out(len(self.came))], max(self.sent, self.out(len(self.came)))
        if new:
            yield new

    def end(self, clean: bool) -> tuple[Iterable[bytes], str]:
        rest = self.came[self.sent :]
        return [rest] if rest else [], "ended" if clean else "broke"


class Rewriting(Faithful):
    """The whole stream written anew, each time as much of it as is known."""

    def __init__(self, anew: Callable[[bytes], bytes]) -> None:
        super().__init__()
        self.anew = anew
        self.came = b""
        self.sent = b""

    def take(self, data: bytes) -> Iterator[bytes]:
        self.came += data
        now = self.anew(self.came)
        assert now.startswith(self.sent), "what is sent is sent"
        new, self.sent = now[len(self.sent) :], now
        if new:
            yield new


class Damaging(Faithful):
    """Nothing until the end, and then what this makes of it, in pieces of these sizes."""

    def __init__(self, damage: Callable[[bytes], bytes], *sizes: int) -> None:
        super().__init__(*sizes)
        self.damage = damage
        self.came = b""

    def take(self, data: bytes) -> Iterator[bytes]:
        self.came += data
        yield from ()

    def end(self, clean: bool) -> tuple[Iterable[bytes], str]:
        return super().take(self.damage(self.came)), "ended" if clean else "broke"


class Ending(Faithful):
    """A cut that comes out like this, with these bytes before it."""

    def __init__(self, how: str, last: bytes = b"") -> None:
        super().__init__()
        self.how = how
        self.last = last

    def end(self, clean: bool) -> tuple[Iterable[bytes], str]:
        return ((), "ended") if clean else ([self.last] if self.last else [], self.how)


class Simulation(Rehearsal):
    """`way` makes a new one for each request; `pauses` are the nanoseconds from one event to the next."""

    def __init__(self, variant: Any, way: Callable[[], Way], pauses: Iterator[int]) -> None:
        super().__init__(variant, ())
        self.way = way
        self.pauses = pauses
        self.now = 0
        self.talks: dict[int, Iterator[None]] = {}

    def clock(self) -> int:
        self.now += next(self.pauses)
        return self.now

    async def wait(
        self,
        goal: Goal,
        what: str,
        exchange: int,
        until: object,
        condition: Callable[[], bool],
        *rest: object,
        over: Callable[[], bool] = lambda: False,
        staging: bool = False,
        **more: object,
    ) -> bool:
        began = self.clock()
        for client, upstream in zip(self._clients, self._upstreams, strict=True):
            if client.index not in self.talks:
                self.talks[client.index] = self._talk(client, upstream)
            next(self.talks[client.index], None)  # as far as it goes
        outcome: Outcome = "happened" if condition() else "ended" if over() else "never"
        trips = 25 if outcome == "never" else 0
        self.waits.append(Wait(goal, what, exchange, outcome, began, self.clock(), trips, staging))
        return outcome == "happened"

    def _talk(self, client: StagedClient, upstream: StagedUpstream) -> Iterator[None]:
        """One request and its response. Stops at each gate that is shut."""
        run, script, recorder, way = upstream.run, upstream.run.script, client.recorder, self.way()
        gates = count()

        def opened(step: Step) -> Iterator[None]:
            if step.gate:
                gate = next(gates)
                while run.released <= gate:
                    yield

        def note(what: str, **details: Any) -> None:
            event = Event(self.clock(), what, connection=1, request=client.index + 1, key=run.key, **details)
            self.upstream.journal.note(event)

        def read(pieces: Iterable[bytes]) -> None:
            for piece in pieces:
                recorder.body += piece
                recorder.note("received", size=len(piece))

        note("asked", body=recorder.request.decode())
        yield from opened(script.head)
        note("head_sent")
        recorder.status = script.status
        recorder.headers = (("content-type", script.content_type), *((n.lower(), v) for n, v in script.headers))
        recorder.note("head_received", note=str(script.status))
        body = prefix(script, script.total)
        for index, (chunk, (start, end)) in enumerate(zip(script.chunks, pairwise((0, *script.ends)), strict=True)):
            yield from opened(chunk)
            note("emitted", chunk=index, size=chunk.size)
            read(way.take(body[start:end]))
        yield from opened(script.ending)
        note("finished", note=script.ending.kind)
        last, how = way.end(script.ending.kind in CLEAN)
        read(last)
        if how:
            recorder.over = True
            recorder.note(how)


def simulate(
    scenario: str, variant: str, way: Callable[[], Way], pauses: Iterable[int] = (1_000_000,)
) -> tuple[Record, Result]:
    """The record of a staging through such a proxy, and what the scenario's judge makes of it."""
    claim = load_scenarios()[scenario]
    stage = Simulation(claim.variants[variant], way, cycle(pauses))
    with patch("harness.client.monotonic_ns", stage.clock), patch("fake_upstream.runs.monotonic_ns", stage.clock):
        asyncio.run(_play(claim, stage))
        exchanges = stage.exchanges()
    record = Record("t", claim.staging, variant, PAIRING, exchanges, tuple(stage.waits), facts=stage.facts)
    result = judged(claim.claim, "required", claim.id, claim.judge, record)
    assert result.verdict != "unsound", result.reason
    return record, result


async def _play(claim: Scenario, stage: Stage) -> None:
    await claim.play(stage)

"""Plays frames on a wire: each when it is due and its gate is open, and writes down what happened."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from time import monotonic_ns

import anyio

from fake_upstream.frames import Frame
from fake_upstream.journal import Amend
from fake_upstream.runs import Run
from fake_upstream.wire import PeerLeft, Wire

NS = 1_000_000_000


async def play(wire: Wire, frames: Iterable[Frame], run: Run) -> bool:
    """Play one response to its end, or until the peer leaves or the run is dropped.

    True if the connection can carry a further request. Notes exactly one of finished, cut.
    """
    player = _Player(wire, run)
    async with anyio.create_task_group() as tasks:

        async def stop_when(happened: Callable[[], Awaitable[object]], act: Callable[[], None] | None = None) -> None:
            await happened()
            if act:
                act()
            tasks.cancel_scope.cancel()

        tasks.start_soon(stop_when, wire.left.wait)
        tasks.start_soon(stop_when, run.until_dropped, wire.reset)
        try:
            await player.play(frames)
        except PeerLeft:
            pass
        finally:
            if not player.finished:
                wire.notes.note("cut", note="dropped" if run.dropped else wire.peer or "shutdown")
        tasks.cancel_scope.cancel()
    return player.finished and not wire.closed and wire.peer is None


class _Player:
    def __init__(self, wire: Wire, run: Run) -> None:
        self.wire = wire
        self.run = run
        self.finished = False
        self.gate = 0

    async def play(self, frames: Iterable[Frame]) -> None:
        due = monotonic_ns()
        for frame in frames:
            due += round(frame.step.after * NS)
            if frame.step.gate:
                await self.run.opened(self.gate)
                self.gate += 1
                due = max(due, monotonic_ns())
            await _sleep_until(due)
            if frame.what == "interim" and not frame.data:
                continue
            # Noted before the write: the client may hold the bytes before the write returns.
            amend = self._note(frame, due)
            if frame.data:
                await self.wire.write(frame.data)
            amend(until=monotonic_ns())
            if frame.what == "end":
                await _close(self.wire, frame)

    def _note(self, frame: Frame, due: int) -> Amend:
        note = self.wire.notes.note
        if frame.what == "interim":
            return note("interim_sent", planned=due, note=frame.data[9:12].decode())
        if frame.what == "head":
            return note("head_sent", planned=due)
        if frame.what == "chunk":
            return note("emitted", chunk=frame.chunk, size=frame.size, planned=due)
        self.finished = True
        return note("finished", planned=due, note=frame.close)


async def _sleep_until(due: int) -> None:
    """Return at the due time, on either loop, or at once if it is past."""
    while (wait := due - monotonic_ns()) > 0:
        await anyio.sleep(wait / NS)


async def _close(wire: Wire, frame: Frame) -> None:
    match frame.close:
        case "fin":
            wire.fin()
        case "reset":
            wire.reset()
        case "half_close":
            wire.half_close()
            await anyio.sleep_forever()  # the peer ends it
        case "hang":
            await anyio.sleep_forever()

"""Patience: how long "never" is. Spent only while the target itself makes progress.

A clock alone accuses a proxy whose machine was busy. So a wait is given up only after small requests of our own,
canaries, have passed through the same target: at least TRIPS of them, over at least so many seconds in which
they kept passing, and in which nothing came of what is waited for: a slow proxy holds nothing back. A target through
which nothing passes, while our own machine demonstrably runs, is wedged, or stopped, or dead; then nobody says
"never".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Protocol

import anyio
import httpcore
import httpx

from harness.record import Outcome
from harness.sockets import SocketBackend, http_client

FLOOR = 3.0
"""Seconds of progress, at least."""
CLOSE_FLOOR = 10.0
"""For truncations and closes: lighttpd needs 6 s to surface a cut, Envoy 1 s."""
TRIPS = 25
STUCK = 15.0
"""Seconds for which our own machine must have run while nothing passed through the target."""
MUTE = 60.0
"""Seconds after which we give up where not even our own machine answers. Nobody is blamed."""
GRACE = 0.25
"""Seconds before canaries start: what works needs none."""
TRICKLE = 120.0
"""Seconds for which what comes bit by bit keeps a wait up: signs of life can be sent for ever."""
CREDIT = 0.25
"""The most that one trip may add, in seconds: a pause of the target is no patience spent."""
PAUSE = 0.02
"""Seconds between two canaries where only trips count."""
SPARSE = 0.1
"""Where seconds count as well: enough trips in the shortest FLOOR, and each well within CREDIT. They cost more than
all else that a failing verdict does."""

Trip = Callable[[httpx.AsyncClient], Awaitable[None]]


class Process(Protocol):
    """The target's process, if it is ours to look at."""

    def state(self) -> str:
        """running, stopped or dead."""
        ...


@dataclass(slots=True)
class _Progress:
    """Progress of one kind of canary: trips, and the seconds they stand for."""

    trips: int = 0
    seconds: float = 0.0
    last: float = field(default_factory=monotonic)

    def trip(self) -> None:
        now = monotonic()
        self.seconds += min(now - self.last, CREDIT)
        self.trips += 1
        self.last = now


@dataclass(frozen=True, slots=True)
class Patience:
    """Waits for something to happen, or for as long as "never" takes at this target."""

    through_target: Trip
    to_upstream: Trip
    process: Process | None = None

    async def wait(
        self,
        happening: Callable[[], Awaitable[None]],
        floor: float = FLOOR,
        come: Callable[[], int] = lambda: 0,
    ) -> tuple[Outcome, int]:
        """Whether it happened, and how many canaries passed meanwhile.

        `come` counts what has come of it so far; when that changes, patience starts anew.
        """
        outcome: Outcome = "never"
        target = _Progress()
        async with anyio.create_task_group() as tasks:

            async def watch() -> None:
                nonlocal outcome
                await happening()
                outcome = "happened"
                tasks.cancel_scope.cancel()

            tasks.start_soon(watch)
            await anyio.sleep(GRACE)
            reason = await self._spend(floor, target, come)
            if outcome != "happened":
                outcome = reason
            tasks.cancel_scope.cancel()
        return outcome, target.trips

    async def _spend(self, floor: float, target: _Progress, come: Callable[[], int]) -> Outcome:
        direct = _Progress()
        since = _Progress()  # the last of it came
        held, began = come(), monotonic()
        pause = SPARSE if floor else PAUSE
        reason: Outcome | None = None
        async with anyio.create_task_group() as tasks:

            async def canary(trip: Trip, on_trip: Callable[[], None]) -> None:
                async with http_client(SocketBackend()) as http:
                    while True:
                        with suppress(httpcore.NetworkError, httpcore.ProtocolError, httpx.HTTPError):
                            await trip(http)
                            on_trip()
                        await anyio.sleep(pause)

            def passed() -> None:
                nonlocal direct
                target.trip()
                since.trip()
                direct = _Progress()  # what counts is how long our machine ran while nothing passed

            tasks.start_soon(canary, self.through_target, passed)
            tasks.start_soon(canary, self.to_upstream, lambda: direct.trip())
            while reason is None:
                await anyio.sleep(PAUSE)
                state = self.process.state() if self.process else "remote"
                if held != (held := come()) and monotonic() - began < TRICKLE:
                    since, direct = _Progress(), _Progress()
                if state == "dead":
                    reason = "dead"
                elif since.trips >= TRIPS and since.seconds >= floor:
                    reason = "never"
                elif monotonic() - max(since.last, direct.last) >= MUTE:
                    reason = "silent"
                elif direct.trips >= TRIPS and direct.seconds >= STUCK:
                    reason = {"running": "wedged", "stopped": "stopped"}.get(state, "silent")  # type: ignore[assignment]
            tasks.cancel_scope.cancel()
        assert reason is not None
        return reason

"""Event loops in threads of their own, one for each station and loop, started when first needed."""

from __future__ import annotations

from contextlib import ExitStack
from threading import Lock

from anyio.from_thread import BlockingPortal, start_blocking_portal

from harness.loops import Loop


class Portals:
    """The threads of the harness's own stations. May be asked from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._stack = ExitStack()
        self._started: dict[tuple[str, Loop], BlockingPortal] = {}

    def of(self, station: str, loop: Loop) -> BlockingPortal:
        with self._lock:
            key = (station, loop)
            if key not in self._started:
                portal = start_blocking_portal(loop, name=f"streamproof-{station}-{loop}")
                self._started[key] = self._stack.enter_context(portal)
            return self._started[key]

    def close(self) -> None:
        self._stack.close()
        self._started.clear()

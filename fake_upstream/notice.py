"""A notice board between threads: any thread may notify, a task on any event loop may wait.

Together with `anyio` this is what lets the rest of the package name neither asyncio nor trio.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from threading import Lock

import anyio
import sniffio
import trio

CallSoon = Callable[[Callable[[], object]], object]


def call_soon_threadsafe() -> CallSoon:
    """A function by which any thread makes the loop that is running here call something."""
    if sniffio.current_async_library() == "trio":
        return trio.lowlevel.current_trio_token().run_sync_soon
    return asyncio.get_running_loop().call_soon_threadsafe


class Notice:
    """Wakes everyone who waits for a condition, whenever something may have changed it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: list[tuple[CallSoon, anyio.Event]] = []

    def notify(self) -> None:
        """Call after the change. From any thread."""
        if not self._waiting:
            return
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for call_soon, event in waiting:
            with suppress(RuntimeError):  # a loop that has ended needs no waking (trio.RunFinishedError is one too)
                call_soon(event.set)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return once `condition()` is true; it is asked again after each notice, on the caller's loop."""
        while not condition():
            event = anyio.Event()
            entry = (call_soon_threadsafe(), event)
            with self._lock:
                self._waiting.append(entry)
            try:
                if condition():  # the change may have come between the question and the entry
                    return
                await event.wait()
            finally:
                with self._lock, suppress(ValueError):
                    self._waiting.remove(entry)

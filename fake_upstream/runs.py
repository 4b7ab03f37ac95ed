"""Runs: which script answers which request, and which of its gates are open. From any thread.

A request is known by its `input` text: the one thing that every proxy forwards unchanged.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from time import monotonic_ns

from fake_upstream.events import Event
from fake_upstream.journal import Journal
from fake_upstream.notice import Notice
from fake_upstream.script import Script


class Run:
    """One armed script. Every request with its key plays it anew; gates stay open once released."""

    def __init__(self, key: str, script: Script, journal: Journal) -> None:
        self.key = key
        self.script = script
        self.released = 0
        self.attempts = 0
        self.dropped = False
        self._journal = journal
        self._lock = Lock()
        self._notice = Notice()

    def release(self, gates: int | None = 1) -> None:
        """Open the next `gates` gates; None opens all."""
        count = max(0, self.script.gates - self.released) if gates is None else gates
        self._journal.note(Event(monotonic_ns(), "released", key=self.key, size=count))
        with self._lock:
            self.released += count
        self._notice.notify()

    async def opened(self, gate: int) -> None:
        """Wait until gate number `gate` (from 0) is open."""
        await self._notice.until(lambda: self.released > gate)

    def drop(self) -> None:
        """Reset every connection that still plays this run."""
        self.dropped = True
        self._notice.notify()

    async def until_dropped(self) -> None:
        await self._notice.until(lambda: self.dropped)


class Runs:
    """The armed scripts by key, and the default for requests whose key nobody armed."""

    def __init__(self, journal: Journal, default: Callable[[str, Script], Script] | None = None) -> None:
        self._journal = journal
        self._lock = Lock()
        self._runs: dict[str, Run] = {}
        self.default = default or (lambda text, script: script)
        """default(input text, plain script): what an unarmed request gets."""

    def arm(self, key: str, script: Script) -> Run:
        """From now on requests with this key play this script. Replaces what was armed before."""
        run = Run(key, script, self._journal)
        with self._lock:
            self._runs.pop(key, None)  # so that it stands last
            self._runs[key] = run
        return run

    def get(self, key: str) -> Run | None:
        with self._lock:
            return self._runs.get(key)

    def expecting(self) -> Run | None:
        """The run that decides what becomes of `Expect: 100-continue`: the last one armed that says how."""
        with self._lock:
            return next((run for run in reversed(self._runs.values()) if run.script.expect != "continue"), None)

    def claim(self, key: str) -> Run | None:
        """The run armed for a request, if there is one; counts the attempt."""
        with self._lock:
            run = self._runs.get(key)
            if run:
                run.attempts += 1
            return run

    def disarm(self, key: str) -> None:
        """Forget one run and reset what still plays it."""
        with self._lock:
            run = self._runs.pop(key, None)
        if run:
            run.drop()

    def reset(self) -> None:
        """Forget all runs and reset what still plays them."""
        with self._lock:
            runs, self._runs = list(self._runs.values()), {}
        for run in runs:
            run.drop()

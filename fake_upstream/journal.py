"""The journal: what happened on every connection, in order, complete also when things break.

It notes, it never raises, and it keeps what it was told before a crash. Any thread may note, read or wait.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from threading import Lock
from time import monotonic_ns
from typing import Any

from fake_upstream.events import Event
from fake_upstream.notice import Notice

log = logging.getLogger("fake_upstream")


@dataclass(slots=True)
class _Entry:
    """One event's place in the journal; completed in place, as when a write returns."""

    event: Event
    number: int


@dataclass(slots=True)
class _Page:
    """What was noted under one key."""

    entries: list[_Entry] = field(default_factory=list)
    first: dict[str, _Entry] = field(default_factory=dict)


class Journal:
    """Events by key and in order. `generation` grows with each reset: what belongs to an older one is dropped."""

    def __init__(self) -> None:
        self.generation = 0
        self.late = 0
        """Events of an earlier generation that came too late to be kept."""
        self.listeners: list[Callable[[Event], None]] = []
        self._lock = Lock()
        self._entries: list[_Entry] = []
        self._noted = 0
        self._pages: dict[str, _Page] = {}
        self._notice = Notice()
        self._connections = 0
        self._requests = 0

    def next_connection(self) -> int:
        with self._lock:
            self._connections += 1
            return self._connections

    def next_request(self) -> int:
        with self._lock:
            self._requests += 1
            return self._requests

    def note(self, event: Event, generation: int | None = None) -> Amend:
        """Keep an event. The answer completes it later, as when a write returns."""
        with self._lock:
            late = generation is not None and generation != self.generation
            if late:
                self.late += 1
            else:
                entry = _Entry(event, self._noted)
                self._noted += 1
                self._entries.append(entry)
                page = self._pages.setdefault(event.key, _Page())
                page.entries.append(entry)
                page.first.setdefault(event.what, entry)
        if late:
            self._notice.notify()
            return lambda **changes: None
        for listener in self.listeners:
            try:
                listener(event)
            except Exception as error:
                log.warning("a journal listener failed: %r", error)
        self._notice.notify()

        def amend(**changes: Any) -> None:
            with self._lock:
                entry.event = replace(entry.event, **changes)
            self._notice.notify()

        return amend

    def of(self, key: str) -> tuple[Event, ...]:
        """All events of the requests with this key."""
        with self._lock:
            page = self._pages.get(key)
            return tuple(entry.event for entry in page.entries) if page else ()

    def since(self, cursor: int = 0) -> tuple[Event, ...]:
        """All events from number `cursor` on, without those of forgotten keys, whose numbers are not given again."""
        return self.read_on(cursor)[0]

    def read_on(self, cursor: int) -> tuple[tuple[Event, ...], int]:
        """As `since`, and the number that the next event will have."""
        with self._lock:
            start = bisect_left(self._entries, cursor, key=lambda entry: entry.number)
            return tuple(entry.event for entry in self._entries[start:]), self._noted

    def first(self, key: str, kinds: Iterable[str]) -> Event | None:
        """The earliest event of one of these kinds under a key, if there is one."""
        with self._lock:
            page = self._pages.get(key)
            found = [page.first[what].event for what in kinds if what in page.first] if page else []
        return min(found, key=lambda event: event.at, default=None)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return once the condition holds; asked again after each event."""
        await self._notice.until(condition)

    async def saw(self, key: str, *kinds: str) -> Event:
        """Wait for the first event of one of these kinds under a key."""
        found: Event | None = None

        def happened() -> bool:
            nonlocal found
            found = self.first(key, kinds)
            return found is not None

        await self.until(happened)
        assert found is not None
        return found

    def forget(self, key: str) -> None:
        """Drop the page of one key: a long campaign would otherwise keep every run for ever."""
        with self._lock:
            self._pages.pop(key, None)
            self._entries = [entry for entry in self._entries if entry.event.key != key]

    def reset(self) -> int:
        """Begin a new generation with empty pages."""
        with self._lock:
            self.generation += 1
            self.late = 0
            self._entries = []
            self._noted = 0
            self._pages = {}
            generation = self.generation
        self._notice.notify()
        return generation


Amend = Callable[..., None]


class Notes:
    """Notes for one connection: fills in who and when, and drops what outlives its generation."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.connection = journal.next_connection()
        self.generation = journal.generation
        self.request = 0
        self.key = ""

    def begin(self, key: str) -> None:
        """A request with this key arrived; what follows on the connection belongs to it."""
        self.request = self.journal.next_request()
        self.generation = self.journal.generation
        self.key = key

    def note(self, what: str, **details: Any) -> Amend:
        event = Event(
            details.pop("at", None) or monotonic_ns(), what, self.connection, self.request, self.key, **details
        )
        return self.journal.note(event, self.generation)

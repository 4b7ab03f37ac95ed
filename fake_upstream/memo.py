"""A memo: what was made for a key, made once whoever asks, and not more of it than a limit. Thread-safe, blocking."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Entry(Generic[V]):
    def __init__(self) -> None:
        self.lock = Lock()
        self.value: V | None = None


class Memo(Generic[K, V]):
    """Values by key. `weigh` says what a value weighs; beyond `limit` in sum, those longest unused go.

    Threads that ask for one key at once wait for the first of them; different keys are made side by side. The
    newest value stays, however heavy. Nothing is kept of a failure: the next one to ask tries again.
    """

    def __init__(self, make: Callable[[K], V], weigh: Callable[[V], int], limit: int) -> None:
        self._make = make
        self._weigh = weigh
        self._limit = limit
        self._lock = Lock()
        self._entries: OrderedDict[K, _Entry[V]] = OrderedDict()

    def get(self, key: K) -> V:
        """The value for `key`. Raises whatever making it raises."""
        with self._lock:
            entry = self._entries.setdefault(key, _Entry())
            self._entries.move_to_end(key)
        with entry.lock:
            if entry.value is None:
                try:
                    entry.value = self._make(key)
                except BaseException:
                    self._forget(key, entry)
                    raise
                self._trim(key)
            return entry.value

    def _forget(self, key: K, entry: _Entry[V]) -> None:
        with self._lock:
            if self._entries.get(key) is entry:
                del self._entries[key]

    def _trim(self, newest: K) -> None:
        with self._lock:
            weights = {key: self._weigh(entry.value) for key, entry in self._entries.items() if entry.value is not None}
            total = sum(weights.values())
            for key, weight in weights.items():
                if total <= self._limit:
                    break
                if key != newest:
                    del self._entries[key]
                    total -= weight

"""Turns: stagings that bear company share a target and its upstream, one that does not has them alone."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from threading import Condition


class Turns:
    """A lock with two kinds of holders. Whoever wants to be alone is not kept waiting by newcomers."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._together = 0
        self._alone = 0
        """How many are alone, or wait for it; only one at a time is."""
        self._busy = False

    @contextmanager
    def together(self) -> Generator[None]:
        """With others of this kind."""
        with self._changed:
            self._changed.wait_for(lambda: not self._alone)
            self._together += 1
        try:
            yield
        finally:
            with self._changed:
                self._together -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Generator[None]:
        """With nobody else."""
        with self._changed:
            self._alone += 1
            self._changed.wait_for(lambda: not self._together and not self._busy)
            self._busy = True
        try:
            yield
        finally:
            with self._changed:
                self._busy = False
                self._alone -= 1
                self._changed.notify_all()

"""Stages what is to come while earlier verdicts are still being reached: on copies of the target, side by side.

A copy has an upstream of its own and does one staging at a time, so that what a fault does to a gateway (LiteLLM cools
its upstream down for seconds) meets no other claim. Nearly all of a failing verdict is patience, so copies pay.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import nullcontext
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Protocol

from harness.loops import Pairing
from harness.record import Record
from harness.scenario import Scenario
from harness.target import Target

Key = tuple[str, str, str, Pairing]
"""Target, staging, variant, loops."""


class Perform(Protocol):
    """Stages one variant on a copy of the target: `Lab.perform`."""

    def __call__(self, scenario: Scenario, variant: str, target: Target, loops: Pairing, *, copy: int) -> Record: ...


class Ahead:
    """So many copies, each with a thread; what is put first is staged first. Belongs to the thread that made it."""

    def __init__(self, perform: Perform, copies: int) -> None:
        self.first = Lock()
        """Held while copy 0 is at work: whoever stages something on it meanwhile, that was not put, needs it too."""
        self._perform = perform
        self._records: dict[Key, Future[Record | None]] = {}
        self._queue: SimpleQueue[Callable[[int], None] | None] = SimpleQueue()
        self._threads = [
            Thread(target=self._work, args=(copy,), name=f"streamproof-copy-{copy}") for copy in range(copies)
        ]
        for thread in self._threads:
            thread.start()

    def put(self, scenario: Scenario, variant: str, target: Target, loops: Pairing, worth: Callable[[], bool]) -> None:
        """Have it staged, once for all claims that share the staging, unless it is not worth it; `worth` may wait."""
        key = (target.name, scenario.staging, variant, loops)
        if key in self._records:
            return
        future: Future[Record | None] = Future()
        self._records[key] = future

        def stage(copy: int) -> None:
            if not future.set_running_or_notify_cancel():
                return None
            try:
                if not worth():
                    return future.set_result(None)
                with nullcontext() if copy else self.first:
                    future.set_result(self._perform(scenario, variant, target, loops, copy=copy))
            except BaseException as error:
                future.set_exception(error)

        self._queue.put(stage)

    def take(self, scenario: Scenario, variant: str, target: Target, loops: Pairing) -> Record | None:
        """The record, once it is there; None for what was never put, was taken, or was not worth it."""
        future = self._records.pop((target.name, scenario.staging, variant, loops), None)
        return future.result() if future else None

    def close(self) -> None:
        """Begin nothing new, and wait until what is under way is over."""
        for future in self._records.values():
            future.cancel()
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self, copy: int) -> None:
        while stage := self._queue.get():
            stage(copy)

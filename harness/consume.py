"""A consumer that takes one stream to a moment of its life and ends there. Runs in whatever task it is put into."""

from __future__ import annotations

import inspect
from contextlib import suppress
from time import monotonic_ns
from typing import Any

import anyio

from fake_upstream.audio import body_of
from fake_upstream.notice import Notice
from fake_upstream.script import Script
from harness.deferred import ACLOSE, AFTER, BETWEEN, BY_ITSELF, DROP, DURING, FIRST, RAISE, REFUSED
from harness.streams import FormError, Source, data_of, status_of


class ConsumerFailed(Exception):
    """What a consumer raises to see whether the stream is closed then."""


class EndedEarly(Exception):
    """The stream was over before the moment that it was to be taken to."""


class Consumer:
    """`given` is a stream or an awaitable of one, and is let go of. What is seen is in the attributes."""

    def __init__(self, given: list[Any], script: Script, moment: str, end: str) -> None:
        self.given = given
        self.body = body_of(script)
        self.moment = moment
        self.end = end
        self.notice = Notice()
        self.stops = 0
        """How often it has arrived: between two pulls, if it gets that far, and at its moment."""
        self.go = anyio.Event()
        """Set it to let the consumer go on from between two pulls."""
        self.leave = anyio.Event()
        """Set it to let the consumer end, if it ends by itself."""
        self.first_pull: int | None = None
        self.ended_at: int | None = None
        self.pulls = 0
        self.received = 0
        self.exact = True
        self.again = ""
        self.outcome = ""
        self.surfaced: int | None = None
        self.misused: FormError | None = None

    @property
    def over(self) -> bool:
        return bool(self.outcome)

    async def run(self) -> None:
        outcome = "finished"
        try:
            await self._consume()
        except ConsumerFailed:
            outcome = "failed as it was meant to"
        except EndedEarly:
            outcome = f"ended after {self.received:,} bytes"
        except FormError as error:
            self.misused, outcome = error, "misused"
        except Exception as error:
            self._surface(error)
            outcome = f"raised {type(error).__name__}: {str(error)[:200]}"
        except BaseException as error:
            outcome = "cancelled" if _is_cancelled(error) else f"raised {error!r}"
            raise
        finally:
            self.outcome = outcome
            self.notice.notify()

    async def _consume(self) -> None:
        stream = self.given.pop()
        if inspect.isawaitable(stream):
            stream = await stream
        source = Source(stream)
        del stream
        if self.end == DROP:
            await self._take(source)
            return
        try:
            await self._take(source)
            if self.end == RAISE:
                raise ConsumerFailed
        finally:
            if self.ended_at is None:
                self.ended_at = monotonic_ns()
            await source.aclose()
        if self.end == ACLOSE and self.moment != AFTER and not source.is_generator:
            await self._iterate_again(source)

    async def _take(self, source: Source) -> None:
        """Take it to its moment, and stay there until it is time."""
        if self.moment in (BETWEEN, DURING, AFTER) and self.end != REFUSED:
            while not self.received:
                await self._pull(source)
            self._arrive()
            await self.go.wait()
        if self.moment == AFTER:
            with suppress(EndedEarly):
                while True:
                    await self._pull(source)
        self._arrive()
        while self.moment in (FIRST, DURING):
            await self._pull(source)
        if self.end in BY_ITSELF:
            await self.leave.wait()
        else:
            await anyio.sleep_forever()

    async def _pull(self, source: Source) -> None:
        if self.first_pull is None:
            self.first_pull = monotonic_ns()
        try:
            item = await source.pull()
        except StopAsyncIteration:
            raise EndedEarly from None
        finally:
            self._surface(source.stream)
        self.pulls += 1
        data = data_of(item)
        self._surface(item)
        self.exact = self.exact and self.body(self.received, len(data)) == data
        self.received += len(data)

    async def _iterate_again(self, source: Source) -> None:
        try:
            item = await source.pull()
        except StopAsyncIteration:
            self.again = "iterating after aclose() ended at once, as an empty body does"
        except Exception:
            return
        else:
            self.again = f"iterating after aclose() gave {len(data_of(item)):,} bytes"
            await source.aclose()

    def _surface(self, thing: Any) -> None:
        """Keep the last status that came to light."""
        self.surfaced = status_of(thing) or self.surfaced

    def _arrive(self) -> None:
        self.stops += 1
        self.notice.notify()


def _is_cancelled(error: BaseException) -> bool:
    cancelled = anyio.get_cancelled_exc_class()
    if isinstance(error, BaseExceptionGroup):
        return error.split(cancelled)[1] is None
    return isinstance(error, cancelled)

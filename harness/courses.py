"""Takes streams of an adapter through the courses of their lives, at a fake upstream, and writes down what is seen.

Nothing is decided by a clock: patience is spent in round trips on the very loop that the adapter is on.
"""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from secrets import token_hex
from time import monotonic_ns
from typing import Any

import anyio
import httpx

from fake_upstream.journal import Journal
from fake_upstream.notice import Notice
from fake_upstream.runs import Run
from fake_upstream.script import Chunk, Script, Step
from fake_upstream.speech import error_body, json_script
from fake_upstream.upstream import FakeUpstream
from harness.consume import Consumer
from harness.deferred import (
    ACLOSE,
    AFTER,
    BEFORE,
    BETWEEN,
    BY_ITSELF,
    DROP,
    DURING,
    FIRST,
    MOMENTS,
    RAISE,
    REFUSED,
    Course,
)
from harness.ledger import Ledger
from harness.natives import Consume, Leave, Wait, ways
from harness.record import LET_GO
from harness.streams import is_stream
from harness.texts import sentence

MakeStream = Callable[[str, str], Any]
"""make_stream(url, text) → a deferred stream, or an awaitable or an async context manager of one.

`url` is what one would put in OPENAI_BASE_URL; `text` must go upstream as `input`: by it the upstream knows the stream.
"""
SIZE = 65_536
BODY = Script((Chunk(size=SIZE), Chunk(size=SIZE, gate=True), Chunk(size=SIZE, gate=True)), content_type="audio/mpeg")
HEADLESS = BODY.but(head=Step(gate=True))
STATUSES = (429, 500)
TRIPS = 3
"""Round trips in which whatever an adapter has set going gets under way."""
NEVER = 25
"""Round trips, PAUSE seconds apart, after which what has not happened is taken never to happen. Less than for a proxy
(patience.py): what is waited for runs on the loop that makes the trips, and no pause can stop only one of the two."""
PAUSE = 0.04
TRIES = 3


def all_courses() -> Iterator[tuple[str, str, Leave]]:
    """Every moment and every way to end there, as far as the two go together."""
    native = ways()
    first = next(iter(native.values()))
    for moment in (BEFORE, BETWEEN, AFTER):
        for end in (ACLOSE, RAISE, DROP):
            yield moment, end, _by_itself
    yield DURING, DROP, first  # its pull is cancelled, and nobody closes it
    for name, leave in native.items():
        for moment in MOMENTS:
            yield moment, name, leave
    for status in STATUSES:
        yield str(status), REFUSED, _by_itself


async def _by_itself(consume: Consume, reached: Wait) -> None:
    await consume()


class Stager:
    """Takes streams of one adapter through courses, one after the other."""

    def __init__(
        self, make_stream: MakeStream, upstream: FakeUpstream, ledger: Ledger, http: httpx.AsyncClient
    ) -> None:
        self.make_stream = make_stream
        self.upstream = upstream
        self.ledger = ledger
        self.http = http
        self.nonce = token_hex(3)
        self.number = count()
        self.generators = False

    async def stage(self, moment: str, end: str, leave: Leave) -> Course:
        """One course of one stream, staged anew if the stream gave up before its moment."""
        for _ in range(TRIES - 1):
            course = await self._stage(moment, end, leave)
            if not course.unstaged:
                return course
        return await self._stage(moment, end, leave)

    async def _stage(self, moment: str, end: str, leave: Leave) -> Course:
        """One course of one stream. Whatever happens, nothing of it is left at the upstream."""
        status = int(moment) if end == REFUSED else None
        script = json_script(status, error_body(status, "No.")) if status else HEADLESS if moment == FIRST else BODY
        text = sentence(f"{moment}/{end}", f"{self.nonce}-{next(self.number)}")
        run = self.upstream.runs.arm(text, script)
        before = len(self.ledger.contexts)
        try:
            async with _made(self.make_stream(self.upstream.url, text)) as given:
                self.generators = self.generators or hasattr(given[0], "ag_frame")
                consumer = Consumer(given, script, AFTER if status else moment, end)
                seen = await self._direct(consumer, run, leave, before)
            if consumer.misused:
                raise consumer.misused
            contexts = self.ledger.contexts[before:]
        finally:
            self.upstream.runs.disarm(text)
        return Course(
            consumer.moment,
            end,
            script.total,
            tuple(event.at for event in self.upstream.journal.of(text) if event.what == "asked"),
            consumer.first_pull,
            consumer.ended_at,
            consumer.pulls,
            consumer.received,
            consumer.exact,
            outcome=consumer.outcome,
            left_open=self._open(run),
            again=consumer.again,
            status=status,
            surfaced=consumer.surfaced,
            contexts=contexts,
            **seen,
        )

    async def _direct(self, consumer: Consumer, run: Run, leave: Leave, before: int) -> dict[str, Any]:
        """Have the consumer run, release what it waits for, and make it end."""
        seen: dict[str, Any] = {}
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(leave, consumer.run, consumer.leave.wait)
            if not await self._until(consumer, lambda: consumer.stops > 0):
                seen["held"] = True
                run.release(None)
                await self._until(consumer, lambda: consumer.stops > 0)
            await self._settle(run, consumer)
            if consumer.moment in (BETWEEN, DURING, AFTER) and not consumer.over and "held" not in seen:
                seen["closed_early"] = self._closed_early(run, consumer, before)
            if consumer.moment == AFTER:
                run.release(None)
            consumer.go.set()
            if consumer.moment in (BETWEEN, DURING, AFTER) and consumer.end != REFUSED:
                await self._until(consumer, lambda: consumer.stops > 1)
                await self._settle(run, consumer)
            if consumer.end not in BY_ITSELF:
                consumer.ended_at = monotonic_ns()
            seen["over_early"] = consumer.over
            consumer.leave.set()
            if not await self._until(consumer, lambda: consumer.over):
                seen["stuck"] = True
                self.upstream.runs.disarm(run.key)  # what it still plays is reset: a pull that waits for it ends
                await self._until(consumer, lambda: consumer.over)
            tasks.cancel_scope.cancel()
        if consumer.end == DROP:
            gc.collect()
        if consumer.end != REFUSED:
            await self._closed(run)
        await self._settle(run, consumer)
        return seen

    async def _until(self, consumer: Consumer, condition: Callable[[], bool]) -> bool:
        await self._wait(consumer.notice, lambda: condition() or consumer.over)
        return condition() or consumer.over

    async def _closed(self, run: Run) -> None:
        """Wait until the upstream is let go of or has come to its end, if it was asked."""
        await self._wait(self.upstream.journal, lambda: not self._open(run))

    async def _settle(self, run: Run, consumer: Consumer) -> None:
        """Let everything on this loop and at the upstream get to where it waits for something."""
        for _ in range(TRIPS):
            await self._trip()
        if consumer.moment == FIRST:
            await self._wait(self.upstream.journal, lambda: self._saw(run, "asked") or consumer.over)

    async def _wait(self, board: Notice | Journal, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds, or for as long as "never" takes."""
        async with anyio.create_task_group() as tasks:

            async def watch() -> None:
                await board.until(condition)
                tasks.cancel_scope.cancel()

            tasks.start_soon(watch)
            for _ in range(NEVER):
                await anyio.sleep(PAUSE)
                await self._trip()
            tasks.cancel_scope.cancel()

    def _closed_early(self, run: Run, consumer: Consumer, before: int) -> str:
        entered = [context for context in self.ledger.contexts[before:] if context.enters]
        if entered and all(context.exits for context in entered):
            return f"{entered[-1]} was entered at {entered[-1].enters[0]}, and exited at {entered[-1].exits[0]}"
        if not self._open(run):
            return "the upstream saw its connection closed"
        return ""

    def _open(self, run: Run) -> int:
        """How many of its requests the upstream still has in hand."""
        events = self.upstream.journal.of(run.key)
        done = {event.request for event in events if event.what in ("finished", *LET_GO)}
        return len({event.request for event in events if event.what == "asked"} - done)

    def _saw(self, run: Run, *kinds: str) -> bool:
        return self.upstream.journal.first(run.key, kinds) is not None

    async def _trip(self) -> None:
        await self.http.get(self.upstream.control_url)


@asynccontextmanager
async def _made(made: Any) -> AsyncIterator[list[Any]]:
    """What make_stream gave, in a list, so that whoever takes it out has it alone."""
    async with AsyncExitStack() as stack:
        if hasattr(made, "__aenter__") and not is_stream(made) and not isinstance(made, Awaitable):
            made = await stack.enter_async_context(made)
        given = [made]
        del made
        yield given

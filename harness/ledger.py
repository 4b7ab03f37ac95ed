"""The context ledger: who entered a context, where, and who left it. It watches and changes nothing.

ledger = Ledger()
httpx.AsyncClient(transport=ledger.transport(httpx.AsyncHTTPTransport()))      # or httpx2's
aiohttp.ClientSession(connector=ledger.connector(aiohttp.TCPConnector()))
async with ledger.context(anything_with_aenter_and_aexit): ...
ledger.assert_closed_once()

For httpx a context is a response: entered when the transport gives it out, exited when its stream is closed. For
aiohttp it is a connection: entered when the connector gives it out, exited when it is released or closed.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from time import monotonic_ns
from typing import Any
from weakref import WeakKeyDictionary

from harness.contexts import KEPT, Context, Moment, all_troubles
from harness.natives import current_loop, current_task, library, task_name
from harness.places import asker, is_collecting, watch_collection
from harness.watched import (
    Through,
    WatchedContext,
    watched_connection,
    watched_connector,
    watched_response,
    watched_transport,
)

Call = Callable[[], Awaitable[Any]]
_under_watch: ContextVar[bool] = ContextVar("streamproof_under_watch", default=False)


@dataclass(slots=True, eq=False)
class Entry:
    """A context in the making. Its ledger shows it as a `Context`."""

    ledger: Ledger
    number: int
    what: str
    made: Moment
    request: str = ""
    enters: list[Moment] = field(default_factory=list)
    exits: list[Moment] = field(default_factory=list)
    failed: str = ""

    async def enter(self, call: Call) -> Any:
        """Make the call that enters it, and note how that came out."""
        token = _under_watch.set(True)
        try:
            value = await call()
        except BaseException as error:
            self.failed = repr(error)
            raise
        finally:
            _under_watch.reset(token)
        self.enters.append(self.ledger.moment())
        return value

    def exited(self) -> None:
        """Call as the exit begins: it may be slow, or raise, or never come back."""
        self.exits.append(self.ledger.moment())


class Ledger:
    """Contexts in the order in which they were made. May be used from any thread and any event loop."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._entries: list[Entry] = []
        # Weak: a ledger that kept tasks would keep all that they have in hand, and nothing would be collected.
        self._tasks: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
        self._loops: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
        self._counted = {"tasks": 0, "loops": 0}

    @property
    def contexts(self) -> tuple[Context, ...]:
        """What is on record now."""
        with self._lock:
            return tuple(
                Context(e.number, e.what, e.made, tuple(e.enters), tuple(e.exits), e.failed, e.request)
                for e in self._entries
            )

    def context(self, manager: Any, what: str = "") -> WatchedContext:
        """The same async context manager, watched; `what` is how its findings call it."""
        return WatchedContext(manager, self.entry(what or type(manager).__name__))

    def transport(self, transport: Any) -> Any:
        """The same httpx or httpx2 transport, watched."""
        watch_collection()
        return watched_transport(transport, self.request)

    def connector(self, connector: Any) -> Any:
        """The very same aiohttp connector, watched."""
        watch_collection()
        return watched_connector(connector, self.connection)

    async def request(self, send: Through, request: Any) -> Any:
        """Have a transport send a request, and watch the response that it gives out."""
        return await self._through(watched_response, partial(send, request), request)

    async def connection(self, connect: Through, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Have a connector connect, and watch the connection that it gives out."""
        return await self._through(watched_connection, partial(connect, request, *args, **kwargs), request)

    async def _through(self, watched: Callable[[Any, Entry], Any], call: Call, request: Any) -> Any:
        if _under_watch.get():  # a transport on a transport, or on a connector: one context, not two
            return await call()
        entry = self.entry(f"{request.method} {request.url}", _sent(request))
        return watched(await entry.enter(call), entry)

    def assert_closed_once(self, contexts: int = 1) -> None:
        """AssertionError unless so many contexts were opened, each closed once by the task that opened it."""
        __tracebackhide__ = True
        found = [context for context in self.contexts if context.enters]
        wrong = all_troubles(self.contexts)
        if len(found) != contexts:
            names = "".join(f"\n  {context} entered at {context.enters[0]}" for context in found)
            wrong.insert(0, f"{len(found)} contexts were opened, expected {contexts}{names}")
        if wrong:
            raise AssertionError("\n".join(wrong))

    def entry(self, what: str, request: str = "") -> Entry:
        """A new context, not entered yet."""
        watch_collection()
        made = self.moment()
        with self._lock:
            entry = Entry(self, len(self._entries) + 1, what, made, request)
            self._entries.append(entry)
        return entry

    def moment(self) -> Moment:
        """Now, here, by the task that runs."""
        task, loop, error = current_task(), current_loop(), sys.exc_info()[1]
        return Moment(
            monotonic_ns(),
            asker(),
            self._number("tasks", self._tasks, task),
            task_name(task) if task else "",
            self._number("loops", self._loops, loop),
            library(),
            type(error).__name__ if error else "",
            is_collecting(),
        )

    def _number(self, kind: str, known: WeakKeyDictionary[Any, int], thing: object | None) -> int:
        if thing is None:
            return 0
        with self._lock:
            if thing not in known:
                self._counted[kind] += 1
                known[thing] = self._counted[kind]
            return known[thing]


def _sent(request: Any) -> str:
    """The beginning of a request's body; "" where it is not at hand, as with a stream, or with aiohttp."""
    try:
        return bytes(request.content)[:KEPT].decode(errors="replace")
    except Exception:  # httpx raises RequestNotRead, and others have no such thing
        return ""

"""Stand-ins that tell a ledger when a context is entered and left, and otherwise are what they stand for.

They know httpx, httpx2 and aiohttp by their public interfaces alone, and import none of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any, Protocol


class Entry(Protocol):
    """A page of the ledger."""

    async def enter(self, call: Callable[[], Awaitable[Any]]) -> Any: ...
    def exited(self) -> None: ...


Through = Callable[..., Awaitable[Any]]
"""through(call, request, …): make the call, and watch what comes out."""


class WatchedContext:
    """An async context manager, watched; its other attributes are those of the one it stands for."""

    def __init__(self, manager: Any, entry: Entry) -> None:
        self._manager = manager
        self._entry = entry

    async def __aenter__(self) -> Any:
        return await self._entry.enter(self._manager.__aenter__)

    async def __aexit__(self, *exc: Any) -> Any:
        self._entry.exited()
        return await self._manager.__aexit__(*exc)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._manager, name)


class _Transport:
    def __init__(self, inner: Any, through: Through) -> None:
        self._inner = inner
        self._through = through

    async def handle_async_request(self, request: Any) -> Any:
        return await self._through(self._inner.handle_async_request, request)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def __aenter__(self) -> Any:
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *exc: Any) -> Any:
        return await self._inner.__aexit__(*exc)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _Stream:
    """A response's stream. It hands out the stream's own iterator: no generator more that could be lost."""

    def __init__(self, inner: Any, entry: Entry) -> None:
        self._inner = inner
        self._entry = entry

    def __aiter__(self) -> Any:
        return self._inner.__aiter__()

    async def aclose(self) -> None:
        self._entry.exited()
        await self._inner.aclose()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def watched_transport(transport: Any, through: Through) -> Any:
    return _kind(_Transport, _base(transport, "AsyncBaseTransport"))(transport, through)


def watched_response(response: Any, entry: Entry) -> Any:
    response.stream = _kind(_Stream, _base(response.stream, "AsyncByteStream"))(response.stream, entry)
    return response


def watched_connector(connector: Any, through: Through) -> Any:
    """aiohttp looks into its connectors: so it is the same object, of a class that tells."""
    kind: Any = type(connector)

    async def connect(self: Any, *args: Any, **kwargs: Any) -> Any:
        return await through(kind.connect.__get__(self), *args, **kwargs)

    connector.__class__ = type(kind.__name__, (kind,), {"connect": connect})
    return connector


def watched_connection(connection: Any, entry: Entry) -> Any:
    """The same object, of a class that tells; a closure on the object would be a cycle, and keep it from collection."""
    kind: Any = type(connection)
    connection.__class__ = _connection(kind)
    connection._streamproof_entry = entry
    return connection


@lru_cache
def _connection(kind: Any) -> Any:
    """A class of connections that tell, once each, of their end: released, closed, or collected."""

    def tell(self: Any) -> None:
        if self.protocol is not None:  # `closed` is also what the peer has cut
            self._streamproof_entry.exited()

    def release(self: Any) -> None:
        tell(self)
        kind.release(self)

    def close(self: Any) -> None:
        tell(self)
        kind.close(self)

    def __del__(self: Any, **kwargs: Any) -> None:  # noqa: N807
        tell(self)
        kind.__del__(self, **kwargs)

    return type(kind.__name__, (kind,), {"release": release, "close": close, "__del__": __del__})


def _base(thing: Any, name: str) -> type | None:
    """The public base class of this name, of whichever library the thing is."""
    return next((kind for kind in type(thing).__mro__ if kind.__name__ == name), None)


@lru_cache
def _kind(ours: Any, base: type | None) -> Any:
    return type(ours.__name__, (ours, base), {}) if base else ours

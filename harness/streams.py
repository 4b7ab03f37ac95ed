"""Deferred streams, however they look: pulled, closed and asked for their status in one way.

Known are objects with `aiter_bytes()` (httpx, the OpenAI SDK, LiteLLM's wrappers) or an async `iter_bytes()`, objects
whose `content` has `iter_any()` (aiohttp), async iterators, async iterables and async generators.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from types import AsyncGeneratorType
from typing import Any, cast

ITERATORS = ("aiter_bytes", "iter_bytes")


class FormError(TypeError):
    """What was made is no stream of a form that is known."""


class Source:
    """One stream. Nothing of it is touched before the first pull."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self._items: AsyncIterator[Any] | None = None
        if not is_stream(stream):
            raise FormError(
                f"make_stream gave {stream!r}: give something with aiter_bytes(), an async iterator, or an awaitable "
                f"or an async context manager that gives one"
            )

    @property
    def is_generator(self) -> bool:
        """Whether Python itself says what iterating it after its close does: it ends."""
        return isinstance(self.stream, AsyncGeneratorType)

    async def pull(self) -> Any:
        """The next item. Raises StopAsyncIteration, or whatever the stream raises."""
        if self._items is None:
            self._items = await self._iterate()
        return await anext(self._items)

    async def aclose(self) -> None:
        """Close it as a careful consumer does: what is iterated, then what it is of."""
        items, self._items = self._items, None
        for thing in (items, self.stream) if items is not self.stream else (items,):
            close = getattr(thing, "aclose", None) or getattr(thing, "close", None)
            if close is not None:
                closing = close()
                if inspect.isawaitable(closing):
                    await closing

    async def _iterate(self) -> AsyncIterator[Any]:
        for name in ITERATORS:
            if (method := getattr(self.stream, name, None)) is not None:
                items = method()
                return cast(AsyncIterator[Any], aiter(await items if inspect.isawaitable(items) else items))
        if (content := getattr(self.stream, "content", None)) is not None and hasattr(content, "iter_any"):
            return cast(AsyncIterator[Any], aiter(content.iter_any()))
        return cast(AsyncIterator[Any], aiter(self.stream))


def is_stream(thing: Any) -> bool:
    """Whether it can be iterated in a way that is known."""
    named = any(hasattr(thing, name) for name in ITERATORS)
    return named or hasattr(thing, "__aiter__") or hasattr(getattr(thing, "content", None), "iter_any")


def data_of(item: Any) -> bytes:
    """The audio in an item; none if it is something else, such as a head that comes first."""
    return bytes(item) if isinstance(item, bytes | bytearray | memoryview) else b""


def status_of(thing: Any) -> int | None:
    """The HTTP status that an exception, a head or a stream carries: itself, in its response, or in its cause."""
    while thing is not None:
        for holder in (thing, getattr(thing, "response", None)):
            for name in ("status_code", "status"):
                try:
                    value = getattr(holder, name, None)
                except Exception:  # a property that is not ready yet
                    continue
                if isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 599:
                    return int(value)
        thing = getattr(thing, "__cause__", None)
    return None

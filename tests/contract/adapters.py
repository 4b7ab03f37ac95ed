"""Adapters that are good, and adapters with exactly one defect each. They run on both loops.

`BROKEN` maps each to the clauses that it breaks; the first one is what it is here for. Where the loops differ, there
is a mapping by loop.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import Any

import anyio
import httpx

from harness.ledger import Ledger
from harness.proxies.reference import deferred_stream

Clauses = tuple[str, ...]


def request(url: str, text: str) -> httpx.Request:
    body = {"model": "tts-1", "voice": "alloy", "input": text}
    return httpx.Request("POST", f"{url}/audio/speech", json=body)


class Deferred:
    """Good: an object with `aiter_bytes()`, as wrappers of SDKs are."""

    def __init__(self, http: httpx.AsyncClient, url: str, text: str) -> None:
        self.http = http
        self.request = request(url, text)
        self.asked = False
        self.closed = False

    async def open(self) -> httpx.Response:
        self.asked = True
        response = await self.http.send(self.request, stream=True)
        if response.is_error:
            await response.aclose()
            response.raise_for_status()
        return response

    async def aiter_bytes(self) -> AsyncGenerator[bytes]:
        if self.closed:
            raise httpx.StreamClosed
        self.closed = True
        response = await self.open()
        try:
            async for data in response.aiter_raw():
                yield data
        finally:
            with anyio.CancelScope(shield=True):
                await self.leave(response)

    async def leave(self, response: httpx.Response) -> None:
        await response.aclose()

    async def aclose(self) -> None:
        self.closed = True


class ByHand(Deferred):
    """Good but that nobody closes it when it is dropped: an iterator without a generator."""

    response: httpx.Response | None = None
    items: AsyncIterator[bytes]

    def __getattribute__(self, name: str) -> Any:
        if name == "aiter_bytes":  # this one is iterated itself
            raise AttributeError(name)
        return super().__getattribute__(name)

    def __aiter__(self) -> ByHand:
        return self

    async def __anext__(self) -> bytes:
        if self.closed:
            raise httpx.StreamClosed
        if self.response is None:
            self.response = await self.open()
            self.items = self.response.aiter_raw()
        return await anext(self.items)

    async def aclose(self) -> None:
        self.closed = True
        if self.response is not None:
            with anyio.CancelScope(shield=True):
                await self.response.aclose()


class Eager(ByHand):
    """Asks as soon as it is made."""

    @classmethod
    async def make(cls, http: httpx.AsyncClient, url: str, text: str) -> Eager:
        stream = cls(http, url, text)
        stream.response = await stream.open()
        stream.items = stream.response.aiter_raw()
        return stream


async def eager_generator(http: httpx.AsyncClient, url: str, text: str) -> AsyncGenerator[bytes]:
    """Asks as soon as it is made, and is closed by a generator, which a stream that nobody pulls never starts."""
    deferred = Deferred(http, url, text)
    response = await deferred.open()

    async def body() -> AsyncGenerator[bytes]:
        try:
            async for data in response.aiter_raw():
                yield data
        finally:
            with anyio.CancelScope(shield=True):
                await response.aclose()

    return body()


async def closed_at_return(http: httpx.AsyncClient, url: str, text: str) -> Any:
    """The origin of it all: the context ends as the function returns (BerriAI/litellm#14892)."""
    async with http.stream("POST", f"{url}/audio/speech", content=request(url, text).content) as response:
        return response


class Probes(Deferred):
    """Asks once for the head, and again for the body."""

    async def open(self) -> httpx.Response:
        await (await super().open()).aclose()
        return await super().open()


async def closes_after_first_item(http: httpx.AsyncClient, url: str, text: str) -> AsyncGenerator[bytes]:
    """Leaves the context with the first bytes in hand."""
    response = await Deferred(http, url, text).open()
    try:
        data = await anext(response.aiter_raw())
    finally:
        with anyio.CancelScope(shield=True):
            await response.aclose()
    yield data


async def reads_all(http: httpx.AsyncClient, url: str, text: str) -> AsyncGenerator[bytes]:
    """Reads the body to its end, and then hands it out in pieces."""
    response = await Deferred(http, url, text).open()
    try:
        body = await response.aread()
    finally:
        with anyio.CancelScope(shield=True):
            await response.aclose()
    for at in range(0, len(body), 8_192):
        yield body[at : at + 8_192]


class Watched:
    """Good, and by a context of its own, which a ledger is given to see."""

    def __init__(self, http: httpx.AsyncClient, url: str, text: str, ledger: Ledger) -> None:
        call = http.stream("POST", f"{url}/audio/speech", content=request(url, text).content)
        self.context = ledger.context(call)

    async def stream(self) -> AsyncGenerator[bytes]:
        async with self.context as response:
            response.raise_for_status()
            async for data in response.aiter_raw():
                yield data


class StaysAtEnd(Watched):
    """Leaves its context whenever something goes wrong, and never when all is well."""

    async def stream(self) -> AsyncGenerator[bytes]:
        response = await self.context.__aenter__()
        try:
            response.raise_for_status()
            async for data in response.aiter_raw():
                yield data
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self.context.__aexit__(None, None, None)
            raise


class LeavesTwice(Deferred):
    """Closes the stream beneath the response, and then the response, which closes it again."""

    async def leave(self, response: httpx.Response) -> None:
        assert isinstance(response.stream, httpx.AsyncByteStream)
        await response.stream.aclose()
        if not response.is_closed:
            await response.aclose()
        else:
            await response.stream.aclose()


class DeafToClose(ByHand):
    """Its aclose() is a word only."""

    async def aclose(self) -> None:
        self.closed = True


class DeafAfterErrors(ByHand):
    """Does not close while an exception passes: somebody else will have cleaned up, it thinks."""

    async def aclose(self) -> None:
        if isinstance(sys.exc_info()[1], Exception):
            self.closed = True
        else:
            await super().aclose()


async def forgets_cancellation(http: httpx.AsyncClient, url: str, text: str) -> AsyncGenerator[bytes]:
    """Closes after exceptions and aclose(), and thinks of no BaseException."""
    response = await Deferred(http, url, text).open()
    try:
        async for data in response.aiter_raw():
            yield data
    except (Exception, GeneratorExit):
        with anyio.CancelScope(shield=True):
            await response.aclose()
        raise


async def swallows_cancellation(http: httpx.AsyncClient, url: str, text: str) -> AsyncGenerator[bytes]:
    """Takes being cancelled for an end."""
    response = await Deferred(http, url, text).open()
    try:
        async for data in response.aiter_raw():
            yield data
    except anyio.get_cancelled_exc_class():
        return
    finally:
        with anyio.CancelScope(shield=True):
            await response.aclose()


async def unshielded(http: httpx.AsyncClient, url: str, text: str) -> AsyncGenerator[bytes]:
    """Awaits something else before it closes: where cancellation lasts, as on trio, it never gets to it."""
    response = await Deferred(http, url, text).open()
    try:
        async for data in response.aiter_raw():
            yield data
    finally:
        await anyio.sleep(0)
        await response.aclose()


class OpensToClose(ByHand):
    """Opens what is not open, so as to have something to close."""

    async def aclose(self) -> None:
        if not self.asked:
            self.response = await self.open()
        await super().aclose()


class ClosesElsewhere(Deferred):
    """Has a task of its own do the closing."""

    async def leave(self, response: httpx.Response) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(response.aclose)


class EmptyAfterClose(Deferred):
    """Once closed, it is an empty body."""

    async def aiter_bytes(self) -> AsyncGenerator[bytes]:
        if self.closed:
            return
        async with aclosing(super().aiter_bytes()) as items:
            async for data in items:
                yield data


class OpensAgain(Deferred):
    """Once closed, it starts anew."""

    async def aclose(self) -> None:
        self.closed = False


class LosesInner(Deferred):
    """A generator in front of another, which it leaves to garbage collection."""

    async def aiter_bytes(self) -> AsyncGenerator[bytes]:
        async for data in super().aiter_bytes():
            yield data


class Empty429(Deferred):
    """An upstream error becomes a body without bytes."""

    async def aiter_bytes(self) -> AsyncGenerator[bytes]:
        try:
            async with aclosing(super().aiter_bytes()) as items:
                async for data in items:
                    yield data
        except httpx.HTTPStatusError:
            return


class LosesStatus(Deferred):
    """An upstream error becomes one that says nothing of it."""

    async def open(self) -> httpx.Response:
        try:
            return await super().open()
        except httpx.HTTPStatusError as error:
            raise RuntimeError("no speech") from None if error else error


async def nested(http: httpx.AsyncClient, url: str, text: str) -> AsyncGenerator[bytes]:
    """Good: a generator in front of a generator, both closed in order."""
    async with aclosing(Deferred(http, url, text).aiter_bytes()) as stream:
        async for data in stream:
            yield data


def reference(http: httpx.AsyncClient, url: str, text: str) -> AsyncGenerator[Any]:
    return deferred_stream(http, request(url, text))


def with_ledger(kind: type[Watched]) -> Callable[..., Any]:
    def make(http: httpx.AsyncClient, url: str, text: str, ledger: Ledger) -> AsyncGenerator[bytes]:
        return kind(http, url, text, ledger).stream()

    return make


GOOD: Mapping[str, Callable[..., Any]] = {
    "reference": reference,
    "Deferred": Deferred,
    "nested": nested,
    "Watched": with_ledger(Watched),
}
CLOSING = ("closed_by_aclose", "closed_on_exception", "closed_on_cancel", "closed_when_dropped")
BROKEN: Mapping[str, tuple[Callable[..., Any], Clauses | Mapping[str, Clauses]]] = {
    "Eager": (Eager.make, ("lazy", "closed_when_dropped")),
    "eager_generator": (eager_generator, ("lazy", "unopened", *CLOSING[1:])),
    "closed_at_return": (closed_at_return, ("stays_open", "lazy")),
    "Probes": (Probes, ("opens_once",)),
    "closes_after_first_item": (closes_after_first_item, ("stays_open",)),
    "reads_all": (reads_all, ("stays_open",)),
    "StaysAtEnd": (with_ledger(StaysAtEnd), ("closed_at_end",)),
    "LeavesTwice": (LeavesTwice, ("closed_at_end", *CLOSING)),
    "DeafToClose": (DeafToClose, CLOSING),
    "DeafAfterErrors": (DeafAfterErrors, ("closed_on_exception", "closed_when_dropped")),
    "forgets_cancellation": (forgets_cancellation, ("closed_on_cancel", "closed_when_dropped")),
    "swallows_cancellation": (swallows_cancellation, ("closed_on_cancel",)),
    "unshielded": (unshielded, {"asyncio": (), "trio": ("closed_on_cancel", "closed_when_dropped")}),
    "ByHand": (ByHand, ("closed_when_dropped",)),
    "OpensToClose": (OpensToClose, ("unopened", "closed_when_dropped")),
    "LosesInner": (LosesInner, ("closed_by_aclose", "closed_on_exception", "closed_on_cancel")),
    "ClosesElsewhere": (ClosesElsewhere, ("same_task",)),
    "EmptyAfterClose": (EmptyAfterClose, ("no_second_body",)),
    "OpensAgain": (OpensAgain, ("no_second_body", "opens_once", "unopened")),
    "Empty429": (Empty429, ("errors_surface",)),
    "LosesStatus": (LosesStatus, ("errors_surface",)),
}


def clauses_of(name: str, loop: str) -> Clauses:
    """The clauses that a broken adapter breaks on a loop."""
    found = BROKEN[name][1]
    return found[loop] if isinstance(found, Mapping) else found

"""The reference: a speech proxy that keeps every claim, on asyncio and on trio. Example code; read it top to bottom.

The upstream's response is a *deferred stream*: nothing is asked until somebody pulls, so a response that nobody
iterates opens nothing; the first item pulled is the head, so the status and headers that go to the client are
the upstream's own; and the context is closed once, by the task that opened it, however the pulling ends.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import httpx

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

log = logging.getLogger("reference")

TLS = httpx.create_ssl_context(trust_env=False)
"""Made once for all clients: reading every certificate takes longer than all else that a client needs."""

HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection",
     b"te", b"trailer", b"transfer-encoding", b"upgrade")
)  # fmt: skip
"""Fields about one connection only (RFC 9110, section 7.6.1)."""


@dataclass(frozen=True, slots=True)
class Head:
    """What the client must know before the first audio byte."""

    status: int
    headers: Headers


Stream = AsyncGenerator[Head | bytes]
"""First the head, then the body's bytes."""


async def deferred_stream(http: httpx.AsyncClient, request: httpx.Request) -> Stream:
    """First the head, then the body's bytes as they arrive. The upstream is asked at the first pull, not before."""
    response = await http.send(request, stream=True)
    try:
        yield Head(response.status_code, end_to_end(response.headers.raw))
        async for data in response.aiter_raw():
            yield data
    finally:
        # Closing must run its course also when we were cancelled, or the connection stays in the pool for ever.
        with anyio.CancelScope(shield=True):
            await response.aclose()


def end_to_end(headers: Headers) -> Headers:
    """The fields that concern the other end, not this connection: without those that `Connection` names either."""
    named = {
        token.strip().lower() for name, value in headers if name.lower() == b"connection" for token in value.split(b",")
    }
    return [(name, value) for name, value in headers if name.lower() not in HOP_BY_HOP | named]


class Proxy:
    """An ASGI app that hands every request on to the upstream."""

    def __init__(self, upstream_url: str) -> None:
        self.base = httpx.URL(upstream_url.removesuffix("/v1"))
        # A stream lasts as long as its audio: no limit on how many there are, no time limit between two chunks.
        self.http = httpx.AsyncClient(
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
            timeout=httpx.Timeout(None, connect=10.0),
            verify=TLS,
            trust_env=False,
        )

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.lifespan(receive, send)
            return
        if scope["type"] != "http":
            raise RuntimeError(f"no service for {scope['type']}")
        body = await read_body(receive)
        if body is None:
            return
        stream = self.ask(self.onward(scope, body))
        async with anyio.create_task_group() as tasks:

            async def leave_with_client() -> None:
                await self.client_left(receive)
                tasks.cancel_scope.cancel()

            tasks.start_soon(leave_with_client)
            await self.hand_on(stream, send)
            tasks.cancel_scope.cancel()

    def ask(self, request: httpx.Request) -> Stream:
        """The upstream's answer, for whoever wants to pull it."""
        return deferred_stream(self.http, request)

    async def client_left(self, receive: Receive) -> None:
        """Wait until the client has gone. Needs a task of its own: `send` never tells, least of all in a silence."""
        while (await receive())["type"] != "http.disconnect":
            pass

    async def hand_on(self, stream: Stream, send: Send) -> None:
        """Pull the stream to its end and send what comes."""
        started = False
        try:
            async with aclosing(stream):
                async for item in stream:
                    if isinstance(item, Head):
                        await start(send, item)
                        started = True
                    else:
                        await send({"type": "http.response.body", "body": item, "more_body": True})
        except httpx.TransportError as error:
            log.warning("the upstream failed: %r", error)
            await self.upstream_failed(send, started)
        else:
            await finish(send)

    async def upstream_failed(self, send: Send, started: bool) -> None:
        """A cut must not look like an end. Before the head there is a word for it, 502; after it there is only
        one way to say so: return without the final message, and the server closes without the end marker."""
        if not started:
            message = b'{"error": {"message": "The upstream cannot be reached.", "type": "server_error"}}'
            await start(send, Head(502, [(b"content-type", b"application/json")]))
            await finish(send, message)

    def onward(self, scope: dict[str, Any], body: bytes) -> httpx.Request:
        query = scope["query_string"]
        target = scope["raw_path"] + (b"?" + query if query else b"")
        headers = [(n, v) for n, v in end_to_end(scope["headers"]) if n.lower() not in (b"host", b"content-length")]
        url = self.base.copy_with(raw_path=target)
        return httpx.Request(scope["method"], url, headers=headers, content=body)

    async def lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self.http.aclose()
                return await send({"type": "lifespan.shutdown.complete"})
            await send({"type": "lifespan.startup.complete"})


async def start(send: Send, head: Head) -> None:
    await send({"type": "http.response.start", "status": head.status, "headers": head.headers})
    # Some servers hold the head back until there is a body message.
    await send({"type": "http.response.body", "body": b"", "more_body": True})


async def finish(send: Send, last: bytes = b"") -> None:
    await send({"type": "http.response.body", "body": last, "more_body": False})


async def read_body(receive: Receive) -> bytes | None:
    """The whole request body; None if the client left before its end."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def build(upstream_url: str) -> Proxy:
    return Proxy(upstream_url)


def streams_of(proxy: Callable[[str], Proxy]) -> Callable[[str, str], AbstractAsyncContextManager[Stream]]:
    """`make_stream` for the deferred-stream contract: what such a proxy pulls for one text, without a client."""

    @asynccontextmanager
    async def make_stream(url: str, text: str) -> AsyncGenerator[Stream]:
        made = proxy(url)
        async with made.http:
            body = {"model": "tts-1", "voice": "alloy", "input": text}
            yield made.ask(httpx.Request("POST", f"{url}/audio/speech", json=body))

    return make_stream


make_stream = streams_of(Proxy)

"""A proxy that does something to event streams, and nothing to anything else."""

from collections.abc import AsyncGenerator

import httpx

from harness.proxies.reference import Head, Proxy, Stream, deferred_stream


class EventProxy(Proxy):
    async def ask(self, request: httpx.Request) -> Stream:
        stream = deferred_stream(self.http, request)
        head = await anext(stream)
        assert isinstance(head, Head)
        yield head
        events = any(n.lower() == b"content-type" and v.startswith(b"text/event-stream") for n, v in head.headers)
        async for item in self.events(body_of(stream)) if events else stream:
            yield item

    def events(self, body: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
        """What becomes of the bytes of an event stream."""
        raise NotImplementedError


async def body_of(stream: Stream) -> AsyncGenerator[bytes]:
    async for item in stream:
        assert isinstance(item, bytes)
        yield item

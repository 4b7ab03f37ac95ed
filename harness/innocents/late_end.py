"""Has something to do before it says that the response is over, as those who write a log line or a bill first."""

from contextlib import aclosing

import anyio
import httpx

from harness.proxies.reference import Proxy, Stream, deferred_stream, streams_of

CATCHES = ()
DELAY = 0.3
"""Seconds between the last byte and the end."""


class LateEnd(Proxy):
    async def ask(self, request: httpx.Request) -> Stream:
        async with aclosing(deferred_stream(self.http, request)) as stream:
            async for item in stream:
                yield item
        await anyio.sleep(DELAY)


build = LateEnd
make_stream = streams_of(LateEnd)

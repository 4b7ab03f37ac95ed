"""Has something to do before it says that the response is over, as those who write a log line or a bill first."""

import anyio
import httpx

from harness.proxies.reference import Proxy, Stream, deferred_stream

CATCHES = ()
DELAY = 0.3
"""Seconds between the last byte and the end."""


class LateEnd(Proxy):
    async def ask(self, request: httpx.Request) -> Stream:
        async for item in deferred_stream(self.http, request):
            yield item
        await anyio.sleep(DELAY)


build = LateEnd

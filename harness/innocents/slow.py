"""Takes a moment over every piece, as a filter does, or HAProxy without `http-no-delay`. Slow is not held back."""

from contextlib import aclosing

import anyio
import httpx

from harness.proxies.reference import Proxy, Stream, deferred_stream

CATCHES = ()
DELAY = 0.02
"""Seconds a piece."""


class Slow(Proxy):
    async def ask(self, request: httpx.Request) -> Stream:
        async with aclosing(deferred_stream(self.http, request)) as stream:
            async for item in stream:
                await anyio.sleep(DELAY)
                yield item


build = Slow

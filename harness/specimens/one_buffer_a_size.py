"""Keeps one scratch buffer for each size of chunk, for all streams: what comes at the same time overwrites it."""

import anyio
import httpx

from harness.proxies.reference import Proxy, Stream, deferred_stream

CATCHES = ("pressure/no_crosstalk",)


class OneBufferASize(Proxy):
    def __init__(self, upstream_url: str) -> None:
        super().__init__(upstream_url)
        self.scratch: dict[int, bytes] = {}

    async def ask(self, request: httpx.Request) -> Stream:
        async for item in deferred_stream(self.http, request):
            if isinstance(item, bytes):
                size = len(item)
                self.scratch[size] = item
                await anyio.lowlevel.checkpoint()
                item = self.scratch[size]
            yield item


build = OneBufferASize

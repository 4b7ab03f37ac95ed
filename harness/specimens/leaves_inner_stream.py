"""Iterates a stream within its own and closes only its own: the inner one is left to the garbage collector, which has
another task close it, or nobody (PEP 533). On the wire that is too quick to be seen."""

import httpx

from harness.proxies.reference import Proxy, Stream, deferred_stream, streams_of

CATCHES = ("closure/deferred_stream",)


class LeavesInnerStream(Proxy):
    async def ask(self, request: httpx.Request) -> Stream:
        async for item in deferred_stream(self.http, request):
            yield item


build = LeavesInnerStream
make_stream = streams_of(LeavesInnerStream)

"""Always keeps one chunk back, to know which one is the last."""

import httpx

from harness.proxies.reference import Proxy, Stream, deferred_stream

CATCHES = (
    "delivery/lockstep",
    "delivery/not_regrouped",
    "delivery/tail",
    "events/progressive",
    "delivery/compressed",
    "events/crlf",
    "events/final_event",
)


class HoldsLastChunk(Proxy):
    async def ask(self, request: httpx.Request) -> Stream:
        kept = b""
        async for item in deferred_stream(self.http, request):
            if isinstance(item, bytes):
                item, kept = kept, item
            if item:
                yield item
        if kept:
            yield kept


build = HoldsLastChunk

"""When the upstream dies in mid-stream it asks once more and goes on where the first answer broke (ag2ai/ag2#3215)."""

import httpx

from harness.proxies.reference import Proxy, Stream, deferred_stream

CATCHES = ("reuse/no_retry_after_first_byte",)


class RetriesAfterFirstByte(Proxy):
    async def ask(self, request: httpx.Request) -> Stream:
        sent = 0
        try:
            async for item in deferred_stream(self.http, request):
                yield item
                sent += len(item) if isinstance(item, bytes) else 0
        except httpx.TransportError:
            if not sent:
                raise
        else:
            return
        async for item in deferred_stream(self.http, request):
            if isinstance(item, bytes):
                yield item[sent:]
                sent = max(0, sent - len(item))


build = RetriesAfterFirstByte

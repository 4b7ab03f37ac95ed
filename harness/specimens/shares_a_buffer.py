"""What an aborted stream left in the proxy's one buffer goes out with the next answer (sgl-project/sglang#36475)."""

import httpx

from harness.proxies.reference import Head, Proxy, Stream, deferred_stream

CATCHES = ("disconnect/next_request_clean", "closure/slots_return")


class SharesABuffer(Proxy):
    def __init__(self, upstream_url: str) -> None:
        super().__init__(upstream_url)
        self.buffer = b""

    async def ask(self, request: httpx.Request) -> Stream:
        kept = self.buffer
        async for item in deferred_stream(self.http, request):
            if isinstance(item, Head):
                yield item
                continue
            self.buffer = item
            yield kept + item
            kept = b""
        self.buffer = b""


build = SharesABuffer

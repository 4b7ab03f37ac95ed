"""What an aborted stream left in the proxy's one buffer goes out with later answers (sgl-project/sglang#36475)."""

import httpx

from harness.proxies.reference import Head, Proxy, Stream, deferred_stream

CATCHES = (
    "disconnect/next_request_clean",
    "closure/slots_return",
    "disconnect/after_last_byte",
    "reuse/after_abort",
)


class SharesABuffer(Proxy):
    def __init__(self, upstream_url: str) -> None:
        super().__init__(upstream_url)
        self.buffer = b""

    async def ask(self, request: httpx.Request) -> Stream:
        kept, last = self.buffer, b""
        try:
            async for item in deferred_stream(self.http, request):
                if isinstance(item, Head):
                    yield item
                    continue
                last = item
                yield kept + item
                kept = b""
            last = b""
        finally:
            self.buffer = last or self.buffer  # for good: it must not matter which request comes next


build = SharesABuffer

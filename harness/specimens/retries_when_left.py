"""Takes a stream that its client left for one that failed, and asks the upstream once more."""

import anyio
import httpx

from harness.proxies.reference import Proxy, Stream, deferred_stream

CATCHES = ("disconnect/after_last_byte",)


class RetriesWhenLeft(Proxy):
    async def ask(self, request: httpx.Request) -> Stream:
        begun = over = False
        try:
            async for item in deferred_stream(self.http, request):
                yield item
                begun = begun or isinstance(item, bytes)
            over = True
        except httpx.TransportError:
            over = True
            raise
        finally:
            if begun and not over:
                with anyio.CancelScope(shield=True):
                    async with self.http.stream(
                        request.method, request.url, headers=request.headers, content=request.content
                    ):
                        pass


build = RetriesWhenLeft

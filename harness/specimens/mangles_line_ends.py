"""Takes audio for text and sets its line ends right."""

import httpx

from harness.proxies.reference import Proxy, Stream, deferred_stream

CATCHES = ("fidelity/bytes",)


class MangledLineEnds(Proxy):
    async def ask(self, request: httpx.Request) -> Stream:
        async for item in deferred_stream(self.http, request):
            yield item.replace(b"\r\n", b"\n\n") if isinstance(item, bytes) else item


build = MangledLineEnds

"""Says audio/mpeg, whatever it is (BerriAI/litellm#38798)."""

import httpx

from harness.proxies.reference import Head, Proxy, Stream, deferred_stream

CATCHES = (
    "fidelity/content_type",
    "events/honoured",
)


class ForcesMpeg(Proxy):
    async def ask(self, request: httpx.Request) -> Stream:
        async for item in deferred_stream(self.http, request):
            if isinstance(item, Head) and item.status == 200:
                others = [(name, value) for name, value in item.headers if name.lower() != b"content-type"]
                yield Head(item.status, [*others, (b"content-type", b"audio/mpeg")])
            else:
                yield item


build = ForcesMpeg

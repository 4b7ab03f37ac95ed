"""Takes Content-Encoding for a matter of one hop, and hands the packed body on without it (BerriAI/litellm#35589)."""

import httpx

from harness.proxies.reference import Head, Proxy, Stream, deferred_stream

CATCHES = ("fidelity/encoding_label",)


class DropsEncodingLabel(Proxy):
    async def ask(self, request: httpx.Request) -> Stream:
        async for item in deferred_stream(self.http, request):
            if isinstance(item, Head):
                others = [(name, value) for name, value in item.headers if name.lower() != b"content-encoding"]
                item = Head(item.status, others)
            yield item


build = DropsEncodingLabel

"""Answers 200 before it has asked the upstream, to be quick (BerriAI/litellm#33222)."""

import httpx

from harness.proxies.reference import Head, Proxy, Stream, deferred_stream

CATCHES = (
    "truncation/refused_upstream",
    "truncation/status_kept",
    "fidelity/content_type",
    "events/honoured",
    "fidelity/encoding_label",
    "fidelity/response_headers",
)


class HeadBeforeUpstream(Proxy):
    async def ask(self, request: httpx.Request) -> Stream:
        yield Head(200, [(b"content-type", b"audio/mpeg")])
        async for item in deferred_stream(self.http, request):
            if isinstance(item, bytes):
                yield item


build = HeadBeforeUpstream

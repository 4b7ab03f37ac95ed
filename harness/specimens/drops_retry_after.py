"""Names the headers that it hands on, and forgot one (BerriAI/litellm#32086)."""

import httpx

from harness.proxies.reference import Head, Proxy, Stream, deferred_stream

CATCHES = (
    "truncation/status_kept",
    "fidelity/response_headers",
)
KNOWN = (b"content-type", b"content-length", b"content-encoding", b"x-request-id")


class DropsRetryAfter(Proxy):
    async def ask(self, request: httpx.Request) -> Stream:
        async for item in deferred_stream(self.http, request):
            if isinstance(item, Head):
                yield Head(item.status, [(name, value) for name, value in item.headers if name.lower() in KNOWN])
            else:
                yield item


build = DropsRetryAfter

"""Says more than it was told, to both sides: Via, tracing, timing, caching, names of its own."""

from contextlib import aclosing
from typing import Any

import httpx

from harness.proxies.reference import Head, Proxy, Stream, deferred_stream

CATCHES = ()
TO_THE_UPSTREAM = (
    ("via", "1.1 innocent"),
    ("x-forwarded-for", "192.0.2.7"),
    ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ("user-agent", "innocent/1.0"),
)
TO_THE_CLIENT = (
    (b"via", b"1.1 innocent"),
    (b"server-timing", b"upstream;dur=1.5"),
    (b"cache-control", b"no-store"),
    (b"x-served-by", b"innocent"),
    (b"x-served-by", b"innocent, once more"),
    (b"vary", b"accept-encoding"),
    (b"link", b'</doc>; rel="help"'),
)


class ExtraHeaders(Proxy):
    def onward(self, scope: dict[str, Any], body: bytes) -> httpx.Request:
        request = super().onward(scope, body)
        request.headers.update(dict(TO_THE_UPSTREAM))
        return request

    async def ask(self, request: httpx.Request) -> Stream:
        async with aclosing(deferred_stream(self.http, request)) as stream:
            async for item in stream:
                yield Head(item.status, [*item.headers, *TO_THE_CLIENT]) if isinstance(item, Head) else item


build = ExtraHeaders

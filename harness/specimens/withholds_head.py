"""Sends status and headers only together with the first bytes of the body (caddyserver/caddy#4247)."""

import httpx

from harness.proxies.reference import Head, Proxy, Stream, deferred_stream

CATCHES = ("delivery/headers_first",)


class WithholdsHead(Proxy):
    async def ask(self, request: httpx.Request) -> Stream:
        head: Head | None = None
        async for item in deferred_stream(self.http, request):
            if isinstance(item, Head):
                head = item
                continue
            if head:
                yield head
                head = None
            yield item
        if head:
            yield head


build = WithholdsHead

"""Knows what `Incremental: ?1` asks for, does not want to, and does not say why (RFC 10036)."""

import httpx

from harness.proxies.reference import Head, Proxy, Stream, deferred_stream

CATCHES = ("delivery/incremental",)


class RefusesIncremental(Proxy):
    async def ask(self, request: httpx.Request) -> Stream:
        if request.headers.get("incremental") == "?1":
            yield Head(503, [(b"content-length", b"0")])
            return
        async for item in deferred_stream(self.http, request):
            yield item


build = RefusesIncremental

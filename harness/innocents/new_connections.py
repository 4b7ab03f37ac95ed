"""Keeps no connection, on either side: each request has one of its own, and the client's is closed after it."""

from contextlib import aclosing

import httpx

from harness.proxies.reference import Head, Proxy, Stream, deferred_stream

CATCHES = ()


class NewConnections(Proxy):
    def __init__(self, upstream_url: str) -> None:
        super().__init__(upstream_url)
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        self.http = httpx.AsyncClient(limits=limits, timeout=httpx.Timeout(None, connect=10.0), trust_env=False)

    async def ask(self, request: httpx.Request) -> Stream:
        async with aclosing(deferred_stream(self.http, request)) as stream:
            async for item in stream:
                yield Head(item.status, [*item.headers, (b"connection", b"close")]) if isinstance(item, Head) else item


build = NewConnections

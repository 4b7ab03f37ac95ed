"""Forgets Content-Length, so that the server frames every body in chunks: how a body is framed is each hop's own."""

from contextlib import aclosing

import httpx

from harness.proxies.reference import Head, Proxy, Stream, deferred_stream

CATCHES = ()


class DropsLength(Proxy):
    async def ask(self, request: httpx.Request) -> Stream:
        async with aclosing(deferred_stream(self.http, request)) as stream:
            async for item in stream:
                if isinstance(item, Head):
                    yield Head(item.status, [(n, v) for n, v in item.headers if n.lower() != b"content-length"])
                else:
                    yield item


build = DropsLength

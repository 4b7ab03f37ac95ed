"""Makes an HTTP client for every request and never closes one: each keeps its connection (Kludex/starlette#1152)."""

import httpx

from harness.proxies.reference import Proxy, Stream, deferred_stream

CATCHES = ("closure/closes_at_end",)


class ClientPerRequest(Proxy):
    def __init__(self, upstream_url: str) -> None:
        super().__init__(upstream_url)
        self.clients: list[httpx.AsyncClient] = []

    async def ask(self, request: httpx.Request) -> Stream:
        self.clients.append(httpx.AsyncClient(timeout=None, verify=False, trust_env=False))
        async for item in deferred_stream(self.clients[-1], request):
            yield item


build = ClientPerRequest

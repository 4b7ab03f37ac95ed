"""Allows two minutes for a request as a whole, however it goes (BerriAI/litellm#24929)."""

import anyio
import httpx

from harness.proxies.reference import Proxy, Stream, deferred_stream

CATCHES = ("time/long_stream",)
LIMIT = 120.0


class LimitsTheWhole(Proxy):
    async def ask(self, request: httpx.Request) -> Stream:
        deadline = anyio.current_time() + LIMIT
        async for item in deferred_stream(self.http, request):
            yield item
            if anyio.current_time() >= deadline:
                raise httpx.ReadTimeout("the request took too long")


build = LimitsTheWhole

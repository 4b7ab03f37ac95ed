"""Counts its streams, at most 100, and forgets to count down when one is aborted (BerriAI/litellm#30271)."""

import anyio
import httpx

from harness.proxies.reference import Proxy, Stream, deferred_stream

CATCHES = (
    "closure/slots_return",
    "pressure/all_open",
)


class KeepsSlots(Proxy):
    def __init__(self, upstream_url: str) -> None:
        super().__init__(upstream_url)
        self.open = 0

    async def ask(self, request: httpx.Request) -> Stream:
        if self.open >= 100:
            await anyio.sleep_forever()
        self.open += 1
        async for item in deferred_stream(self.http, request):
            yield item
        self.open -= 1


build = KeepsSlots

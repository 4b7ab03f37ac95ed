"""Asks the upstream once to see whether it answers, and once more for the audio (NuGuardAI/nuguard#455)."""

import httpx

from harness.proxies.reference import Proxy, Stream, deferred_stream

CATCHES = ("closure/one_request",)


class AsksTwice(Proxy):
    async def ask(self, request: httpx.Request) -> Stream:
        async with self.http.stream(request.method, request.url, headers=request.headers, content=request.content):
            pass
        async for item in deferred_stream(self.http, request):
            yield item


build = AsksTwice

"""Opens the upstream's stream first and looks at the request then (BerriAI/litellm#33976, review)."""

import json

import httpx

from harness.proxies.reference import Head, Proxy, Stream, deferred_stream

CATCHES = ("closure/refused_locally",)


class OpensBeforeChecking(Proxy):
    async def ask(self, request: httpx.Request) -> Stream:
        stream = deferred_stream(self.http, request)
        head = await anext(stream)
        try:
            sound = isinstance(json.loads(request.content), dict)
        except ValueError:
            sound = False
        if not sound:
            await stream.aclose()
            yield Head(400, [(b"content-type", b"text/plain")])
            yield b"bad request"
            return
        yield head
        async for item in stream:
            yield item


build = OpensBeforeChecking

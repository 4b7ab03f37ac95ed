"""Builds the upstream's request anew from the fields it knows."""

import json

import httpx

from harness.proxies.reference import Proxy, Stream, deferred_stream

CATCHES = ("fidelity/request_body",)
KNOWN = ("model", "input", "voice", "response_format")


class DropsFields(Proxy):
    async def ask(self, request: httpx.Request) -> Stream:
        try:
            data = json.loads(request.content)
            known = {name: value for name, value in data.items() if name in KNOWN}
        except (ValueError, AttributeError):
            known = None  # let the upstream say what is wrong with it
        if known is not None:
            request = httpx.Request(request.method, request.url, json=known)
        async for item in deferred_stream(self.http, request):
            yield item


build = DropsFields

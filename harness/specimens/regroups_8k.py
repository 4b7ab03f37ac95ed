"""Collects small chunks into 8 KB before it sends them (BerriAI/litellm#21373)."""

import httpx

from harness.proxies.reference import Head, Proxy, Stream, deferred_stream

CATCHES = (
    "delivery/lockstep",
    "delivery/not_regrouped",
    "delivery/tail",
    "events/progressive",
)


class Regroups(Proxy):
    async def ask(self, request: httpx.Request) -> Stream:
        kept = b""
        async for item in deferred_stream(self.http, request):
            if isinstance(item, Head):
                yield item
                continue
            kept += item
            while len(kept) >= 8_192:
                yield kept[:8_192]
                kept = kept[8_192:]
        if kept:
            yield kept


build = Regroups

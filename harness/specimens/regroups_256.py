"""Reads the upstream in pieces of 256 bytes: what is less waits for more (BerriAI/litellm#21373)."""

import httpx

from harness.proxies.reference import Head, Proxy, Stream, deferred_stream

CATCHES = (
    "delivery/not_regrouped",
    "delivery/tail",
    "events/progressive",
    "events/crlf",
    "events/final_event",
)


class Regroups(Proxy):
    piece = 256

    async def ask(self, request: httpx.Request) -> Stream:
        kept = b""
        async for item in deferred_stream(self.http, request):
            if isinstance(item, Head):
                yield item
                continue
            kept += item
            whole = len(kept) // self.piece * self.piece
            if whole:
                yield kept[:whole]
                kept = kept[whole:]
        if kept:
            yield kept


build = Regroups

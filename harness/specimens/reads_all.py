"""Reads the whole body, then cuts it up again, as LiteLLM's speech route did (BerriAI/litellm#14891)."""

import httpx

from harness.proxies.reference import Head, Proxy, Stream, deferred_stream, streams_of

CATCHES = (
    "delivery/lockstep",
    "delivery/not_regrouped",
    "delivery/tail",
    "delivery/headers_first",
    "closure/deferred_stream",
    "events/progressive",
    "delivery/compressed",
    "events/crlf",
    "events/final_event",
    "pressure/slow_reader",
)


class ReadsAll(Proxy):
    async def ask(self, request: httpx.Request) -> Stream:
        items = [item async for item in deferred_stream(self.http, request)]
        body = b"".join(item for item in items if isinstance(item, bytes))
        yield next(item for item in items if isinstance(item, Head))
        for start in range(0, len(body), 8_192):
            yield body[start : start + 8_192]


build = ReadsAll
make_stream = streams_of(ReadsAll)

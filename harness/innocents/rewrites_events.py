"""Reads the events and writes them anew: other spacing, other line ends, a name, a comment. Their data is the same."""

import json
from contextlib import aclosing

import httpx

from fake_upstream.sse import CONTENT_TYPE, Event, EventDecoder
from harness.proxies.reference import Head, Proxy, Stream, deferred_stream

CATCHES = ("events/last_event",)


class RewritesEvents(Proxy):
    async def ask(self, request: httpx.Request) -> Stream:
        decoder: EventDecoder | None = None
        async with aclosing(deferred_stream(self.http, request)) as stream:
            async for item in stream:
                if isinstance(item, Head):
                    headers = [(n, v) for n, v in item.headers if n.lower() != b"content-length"]
                    if dict(headers).get(b"content-type", b"").startswith(CONTENT_TYPE.encode()):
                        decoder = EventDecoder()
                        item = Head(item.status, headers)
                    yield item
                elif decoder is None:
                    yield item
                else:
                    for event in decoder.feed(item):
                        yield anew(event)


def anew(event: Event) -> bytes:
    """The same event, as somebody else would write it."""
    try:
        data = json.dumps(json.loads(event.data), indent=1, sort_keys=True)
    except ValueError:
        data = event.data  # [DONE], and whatever else is no JSON
    lines = [": from the gateway", f"event:{event.type}", *(f"data: {line}" for line in data.split("\n"))]
    if event.id:
        lines.insert(1, f"id:{event.id}")
    return "\r\n".join([*lines, "", ""]).encode()


build = RewritesEvents

"""Writes the events anew, from the audio in them, and forgets the bill."""

import httpx

from fake_upstream.sse import AudioDecoder, Usage, delta, done
from harness.proxies.reference import Head, Proxy, Stream, deferred_stream

CATCHES = ("events/usage",)


class DropsUsage(Proxy):
    async def ask(self, request: httpx.Request) -> Stream:
        events: AudioDecoder | None = None
        said = False
        async for item in deferred_stream(self.http, request):
            if isinstance(item, Head):
                if (b"content-type", b"text/event-stream") in item.headers:
                    events = AudioDecoder()
                yield item
            elif events is None:
                yield item
            else:
                if audio := events.feed(item):
                    yield delta(audio)
                if events.done and not said:
                    said = True
                    yield done(Usage(0, 0, 0))
        if events and not said:
            yield done(Usage(0, 0, 0))


build = DropsUsage

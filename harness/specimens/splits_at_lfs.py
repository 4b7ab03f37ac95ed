"""Finds the end of an event by two LFs; a stream with CRLFs has none until it is over (envoyproxy/ai-gateway#1398)."""

from collections.abc import AsyncGenerator

from harness.specimens._events import EventProxy

CATCHES = ("events/crlf",)


class SplitsAtLFs(EventProxy):
    async def events(self, body: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
        rest = b""
        async for item in body:
            *events, rest = (rest + item).split(b"\n\n")
            for event in events:
                yield event + b"\n\n"
        if rest:
            yield rest


build = SplitsAtLFs

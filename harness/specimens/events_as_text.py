"""Decodes each read of an event stream as UTF-8 by itself: a character in two reads is none (api7/aisix#111)."""

from collections.abc import AsyncGenerator

from harness.specimens._events import EventProxy

CATCHES = ("events/one_byte_writes",)


class EventsAsText(EventProxy):
    async def events(self, body: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
        async for item in body:
            yield item.decode(errors="replace").encode()


build = EventsAsText

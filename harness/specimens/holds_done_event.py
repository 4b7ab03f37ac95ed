"""Keeps the done event until the upstream has ended, to add something to it."""

from collections.abc import AsyncGenerator

from harness.specimens._events import EventProxy

CATCHES = ("events/final_event",)
DONE = b'data: {"type": "speech.audio.done"'


class HoldsDoneEvent(EventProxy):
    async def events(self, body: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
        seen, sent = b"", 0
        async for item in body:
            seen += item
            end = seen.find(DONE) if DONE in seen else len(seen)
            if end > sent:
                yield seen[sent:end]
                sent = end
        if seen[sent:]:
            yield seen[sent:]


build = HoldsDoneEvent

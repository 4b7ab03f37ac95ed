"""Ends every event stream with a done event of its own, also one that was cut (BerriAI/litellm#33404)."""

from collections.abc import AsyncGenerator

import httpx

from fake_upstream.sse import Usage, done
from harness.specimens._events import EventProxy

CATCHES = ("truncation/no_false_done",)


class InventsDone(EventProxy):
    async def events(self, body: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
        try:
            async for item in body:
                yield item
        except httpx.TransportError:
            yield done(Usage(0, 0, 0))
            raise


build = InventsDone

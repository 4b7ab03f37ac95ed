"""Reads an event stream by lines of at most 64 KB: a longer one becomes several (songquanpeng/one-api#2128)."""

from collections.abc import AsyncGenerator

from harness.specimens._events import EventProxy

CATCHES = ("events/big_event",)
LIMIT = 65_536


class LimitsLines(EventProxy):
    async def events(self, body: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
        rest = b""
        async for item in body:
            *lines, rest = (rest + item).split(b"\n")
            while len(rest) > LIMIT:
                lines.append(rest[:LIMIT])
                rest = rest[LIMIT:]
            for line in lines:
                for start in range(0, max(1, len(line)), LIMIT):
                    yield line[start : start + LIMIT] + b"\n"
        if rest:
            yield rest


build = LimitsLines

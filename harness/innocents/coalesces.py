"""Reads ahead a little and sends what has gathered while it wrote: together what came together, and nothing waits."""

import anyio
import httpx
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from harness.proxies.reference import Head, Proxy, Send, Stream

CATCHES = ()
AHEAD = 8
"""Pieces, of 64 KB at most each: a bound, or a slow reader would fill the memory."""


class Coalesces(Proxy):
    async def hand_on(self, stream: Stream, send: Send) -> None:
        failed: list[httpx.TransportError] = []

        async def read_ahead(to: MemoryObjectSendStream[Head | bytes]) -> None:
            async with to:
                try:
                    async for item in stream:
                        await to.send(item)
                except httpx.TransportError as error:
                    failed.append(error)
                finally:
                    with anyio.CancelScope(shield=True):
                        await stream.aclose()

        async def gathered(items: MemoryObjectReceiveStream[Head | bytes]) -> Stream:
            async with items:
                async for item in items:
                    yield item if isinstance(item, Head) else item + at_hand(items)
            if failed:
                raise failed[0]

        sender, receiver = anyio.create_memory_object_stream[Head | bytes](AHEAD)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read_ahead, sender)
            await super().hand_on(gathered(receiver), send)
            tasks.cancel_scope.cancel()


def at_hand(items: MemoryObjectReceiveStream[Head | bytes]) -> bytes:
    """What more has come, without waiting. The head is always first, so these are bytes."""
    parts: list[bytes] = []
    try:
        while True:
            item = items.receive_nowait()
            assert isinstance(item, bytes)
            parts.append(item)
    except (anyio.WouldBlock, anyio.EndOfStream):
        return b"".join(parts)


build = Coalesces

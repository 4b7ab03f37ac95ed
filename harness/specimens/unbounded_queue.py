"""Reads the upstream into a queue without a limit: a client that reads slowly has the whole body held in memory."""

from math import inf

import anyio

from harness.proxies.reference import Head, Proxy, Send, Stream

CATCHES = ("pressure/slow_reader",)


class UnboundedQueue(Proxy):
    async def hand_on(self, stream: Stream, send: Send) -> None:
        put, queue = anyio.create_memory_object_stream[Head | bytes](inf)
        failed: list[Exception] = []

        async def read() -> None:
            with put:
                try:
                    async for item in stream:
                        put.send_nowait(item)
                except Exception as error:
                    failed.append(error)
                finally:
                    with anyio.CancelScope(shield=True):
                        await stream.aclose()

        async def queued() -> Stream:
            async for item in queue:
                yield item
            if failed:
                raise failed[0]

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            with queue:
                await super().hand_on(queued(), send)
            tasks.cancel_scope.cancel()


build = UnboundedQueue

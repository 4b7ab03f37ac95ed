"""Watches for the client leaving only once audio flows (headroomlabs-ai/headroom#2882)."""

from contextvars import ContextVar

import anyio

from harness.proxies.reference import Message, Proxy, Receive, Send

CATCHES = ("disconnect/after_headers", "disconnect/before_headers", "closure/abandoned_before_body")
flowing: ContextVar[anyio.Event] = ContextVar("flowing")


class WatchesAfterFirstByte(Proxy):
    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        flows = anyio.Event()
        flowing.set(flows)

        async def noting(message: Message) -> None:
            if message.get("body"):
                flows.set()
            await send(message)

        await super().__call__(scope, receive, noting)

    async def client_left(self, receive: Receive) -> None:
        await flowing.get().wait()
        await super().client_left(receive)


build = WatchesAfterFirstByte

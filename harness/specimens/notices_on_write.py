"""Looks whether the client is still there only after each chunk: a silent upstream is held for ever."""

from contextvars import ContextVar

import anyio

from harness.proxies.reference import Message, Proxy, Receive, Send, Stream

CATCHES = (
    "disconnect/silent_upstream",
    "disconnect/after_headers",
    "disconnect/before_headers",
)
gone: ContextVar[anyio.Event] = ContextVar("gone")


class NoticesOnWrite(Proxy):
    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        gone.set(anyio.Event())
        await super().__call__(scope, receive, send)

    async def client_left(self, receive: Receive) -> None:
        await super().client_left(receive)
        gone.get().set()
        await anyio.sleep_forever()

    async def hand_on(self, stream: Stream, send: Send) -> None:
        async def until_gone() -> Stream:
            async for item in stream:
                yield item
                if gone.get().is_set():
                    await stream.aclose()

        await super().hand_on(until_gone(), send)


build = NoticesOnWrite

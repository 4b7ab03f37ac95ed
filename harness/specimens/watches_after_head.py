"""Watches for the client leaving only once the upstream has answered, as most proxies do (BerriAI/litellm#31499)."""

from contextvars import ContextVar

import anyio

from harness.proxies.reference import Message, Proxy, Receive, Send

CATCHES = ("disconnect/before_headers",)
answered: ContextVar[anyio.Event] = ContextVar("answered")


class WatchesAfterHead(Proxy):
    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        answer = anyio.Event()
        answered.set(answer)

        async def noting(message: Message) -> None:
            await send(message)
            answer.set()

        await super().__call__(scope, receive, noting)

    async def client_left(self, receive: Receive) -> None:
        await answered.get().wait()
        await super().client_left(receive)


build = WatchesAfterHead

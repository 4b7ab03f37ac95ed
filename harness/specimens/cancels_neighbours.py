"""Cancels every stream there is when one client leaves in mid-stream."""

from contextvars import ContextVar
from dataclasses import dataclass

import anyio

from harness.proxies.reference import Message, Proxy, Receive, Send, Stream

CATCHES = ("disconnect/others_stay",)
ENOUGH = 512
"""Bytes of audio after which a client counts. The harness's own small requests, which are cut off too, have fewer."""


@dataclass
class Pulled:
    size: int = 0
    whole: bool = False


pulled: ContextVar[Pulled] = ContextVar("pulled")


class CancelsNeighbours(Proxy):
    def __init__(self, upstream_url: str) -> None:
        super().__init__(upstream_url)
        self.scopes: set[anyio.CancelScope] = set()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        pulled.set(Pulled())
        with anyio.CancelScope() as mine:
            self.scopes.add(mine)
            try:
                await super().__call__(scope, receive, send)
            finally:
                self.scopes.discard(mine)

    async def hand_on(self, stream: Stream, send: Send) -> None:
        async def counted() -> Stream:
            async for item in stream:
                pulled.get().size += len(item) if isinstance(item, bytes) else 0
                yield item
            pulled.get().whole = True

        await super().hand_on(counted(), send)

    async def client_left(self, receive: Receive) -> None:
        await super().client_left(receive)
        if pulled.get().size >= ENOUGH and not pulled.get().whole:
            for scope in self.scopes:
                scope.cancel()


build = CancelsNeighbours

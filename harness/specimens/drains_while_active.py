"""When the client leaves, reads on for as long as something comes, "to keep the connection" (smg-project/smg#2136)."""

from contextvars import ContextVar
from dataclasses import dataclass

import anyio
import httpx

from harness.proxies.reference import Message, Proxy, Receive, Send, Stream, deferred_stream

CATCHES = ("disconnect/active_upstream",)
SILENCE = 2.0
"""Seconds without a byte after which it lets go."""


@dataclass
class Pulled:
    items: int = 0


pulled: ContextVar[Pulled] = ContextVar("pulled")


class DrainsWhileActive(Proxy):
    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        pulled.set(Pulled())
        await super().__call__(scope, receive, send)

    async def ask(self, request: httpx.Request) -> Stream:
        async for item in deferred_stream(self.http, request):
            pulled.get().items += 1
            yield item

    async def client_left(self, receive: Receive) -> None:
        await super().client_left(receive)
        before = -1
        while before != pulled.get().items:
            before = pulled.get().items
            await anyio.sleep(SILENCE)


build = DrainsWhileActive

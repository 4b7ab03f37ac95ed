"""Holds a lock of the whole proxy while it sends: a client that does not read blocks all others (golang/go#16510)."""

import anyio

from harness.proxies.reference import Message, Proxy, Receive, Send

CATCHES = ("pressure/stalled_neighbour",)


class OneAtATime(Proxy):
    def __init__(self, upstream_url: str) -> None:
        super().__init__(upstream_url)
        self.turn = anyio.Lock()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        async def in_turn(message: Message) -> None:
            async with self.turn:
                await send(message)

        await super().__call__(scope, receive, in_turn if scope["type"] == "http" else send)


build = OneAtATime

"""Opens the upstream before there is a response, and does not act on a client that leaves meanwhile; then there is
nobody to iterate what was opened, and so nobody to close it (BerriAI/litellm#33976, headroomlabs-ai/headroom#2882)."""

from contextvars import ContextVar

import anyio
import httpx

from harness.proxies.reference import Head, Message, Proxy, Receive, Send, Stream, end_to_end

HALF_FIX = "The stream is opened early, so that its status is known, by code that nobody cancels."
CATCHES = ("disconnect/before_headers", "closure/abandoned_before_body")
progress: ContextVar[tuple[anyio.Event, anyio.Event]] = ContextVar("progress")
"""The upstream has answered; the client has gone."""


class EagerOpen(Proxy):
    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        progress.set((anyio.Event(), anyio.Event()))
        await super().__call__(scope, receive, send)

    async def client_left(self, receive: Receive) -> None:
        answered, gone = progress.get()
        await super().client_left(receive)
        gone.set()
        await answered.wait()

    async def ask(self, request: httpx.Request) -> Stream:
        answered, gone = progress.get()
        response = await self.http.send(request, stream=True)
        answered.set()
        if gone.is_set():
            return  # as a framework does that finds the client gone: a body that is never begun closes nothing
        try:
            yield Head(response.status_code, end_to_end(response.headers.raw))
            async for data in response.aiter_raw():
                yield data
        finally:
            with anyio.CancelScope(shield=True):
                await response.aclose()


build = EagerOpen

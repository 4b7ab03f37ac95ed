"""Opens the upstream's response eagerly and drops it if the client has left meanwhile: nobody iterates or closes it.

So does a framework that cancels a streaming response before its generator has begun (headroomlabs-ai/headroom#2882).
"""

import anyio
import httpx

from harness.proxies.reference import Head, Message, Proxy, Receive, Send, Stream, end_to_end, read_body

CATCHES = ("closure/abandoned_before_body", "disconnect/before_headers")


class NeverIterated(Proxy):
    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        if (body := await read_body(receive)) is None:
            return
        opened, gone = anyio.Event(), anyio.Event()
        async with anyio.create_task_group() as tasks:

            async def leave_with_client() -> None:
                await self.client_left(receive)
                gone.set()
                await opened.wait()
                tasks.cancel_scope.cancel()

            tasks.start_soon(leave_with_client)
            try:
                response = await self.http.send(self.onward(scope, body), stream=True)
            except httpx.TransportError:
                await self.upstream_failed(send, started=False)
            else:
                opened.set()
                if not gone.is_set():
                    await self.hand_on(body_of(response), send)
            tasks.cancel_scope.cancel()


async def body_of(response: httpx.Response) -> Stream:
    try:
        yield Head(response.status_code, end_to_end(response.headers.raw))
        async for data in response.aiter_raw():
            yield data
    finally:
        with anyio.CancelScope(shield=True):
            await response.aclose()


build = NeverIterated

"""A gateway with a package layout of its own, and a name or two that streamproof has as well."""

from contextlib import aclosing

import anyio
import httpx
from harness.headers import kept


class Gateway:
    def __init__(self, upstream_url):
        self.speech = f"{upstream_url}/audio/speech"
        self.http = httpx.AsyncClient(timeout=None, limits=httpx.Limits(max_connections=None), trust_env=False)

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        async with anyio.create_task_group() as tasks:

            async def leave_with_client():
                while (await receive())["type"] != "http.disconnect":
                    pass
                tasks.cancel_scope.cancel()

            tasks.start_soon(leave_with_client)
            await self.stream(body, send)
            tasks.cancel_scope.cancel()

    async def stream(self, body, send):
        async with self.http.stream("POST", self.speech, content=body) as answer:
            headers = kept(answer.headers.raw)
            await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
            await send({"type": "http.response.body", "body": b"", "more_body": True})
            async with aclosing(answer.aiter_raw()) as chunks:
                async for chunk in chunks:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def build(upstream_url):
    return Gateway(upstream_url)

"""A gateway as most are written with Starlette: `send(stream=True)`, and the response closed when the stream is over.

streamproof run --target app:examples/starlette_proxy.py:build --server uvicorn
"""

import httpx
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

KEPT = ("content-type", "content-length", "content-encoding", "retry-after", "x-request-id")


def build(upstream_url):
    http = httpx.AsyncClient(timeout=None, limits=httpx.Limits(max_connections=None), trust_env=False)

    async def speech(request):
        onward = http.build_request("POST", f"{upstream_url}/audio/speech", content=await request.body())
        onward.headers["content-type"] = request.headers.get("content-type", "application/json")
        answer = await http.send(onward, stream=True)

        async def chunks():
            try:
                async for chunk in answer.aiter_raw():
                    yield chunk
            finally:
                await answer.aclose()

        headers = {name: answer.headers[name] for name in KEPT if name in answer.headers}
        return StreamingResponse(chunks(), answer.status_code, headers)

    return Starlette(routes=[Route("/v1/audio/speech", speech, methods=["POST"])])


build.loops = ("asyncio",)

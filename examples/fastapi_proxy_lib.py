"""The library fastapi-proxy-lib as a gateway. `pip install fastapi-proxy-lib==0.3.0`, and then

streamproof run --target app:examples/fastapi_proxy_lib.py:build

Its FastAPI helper closes the client with asyncio's `gather`; its core, used here, knows no loop and runs on trio too.
"""

import httpx
from fastapi_proxy_lib.core.http import ReverseHttpProxy
from starlette.applications import Starlette
from starlette.routing import Route

# httpx gives up after 5 s without a byte. A voice may pause for longer: no limit on reading, the others stay.
PATIENT = httpx.Timeout(5, read=None)
# httpx has at most 100 connections, and who finds none free in 5 s is refused. Listeners may be more.
UNLIMITED = httpx.Limits(max_connections=None, max_keepalive_connections=20)


def build(upstream_url):
    base = upstream_url.removesuffix("v1")  # the client's own path begins with v1
    proxy = ReverseHttpProxy(httpx.AsyncClient(timeout=PATIENT, limits=UNLIMITED), base_url=base)

    async def forward(request):
        return await proxy.proxy(request=request)

    return Starlette(routes=[Route("/{path:path}", forward, methods=["POST"])])

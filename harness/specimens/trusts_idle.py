"""Takes a connection from its pool without a look whether the upstream has closed it (sozu-proxy/sozu#1442)."""

from collections.abc import Iterable
from typing import Any

import httpcore
import httpx

from harness.proxies.reference import Proxy

CATCHES = ("reuse/idle_close",)


class Blind(httpcore.AnyIOBackend):
    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        stream = await super().connect_tcp(host, port, timeout, local_address, socket_options)
        look = stream.get_extra_info
        stream.get_extra_info = lambda info: None if info == "is_readable" else look(info)  # type: ignore[method-assign]
        return stream


class TrustsIdle(Proxy):
    def __init__(self, upstream_url: str) -> None:
        super().__init__(upstream_url)
        transport = httpx.AsyncHTTPTransport()
        transport._pool = httpcore.AsyncConnectionPool(network_backend=Blind(), max_connections=None)
        self.http = httpx.AsyncClient(transport=transport, timeout=None, trust_env=False)


build = TrustsIdle

"""When the upstream dies it waits, for nothing; so does the client (vitejs/vite#20712)."""

import anyio

from harness.proxies.reference import Proxy, Send

CATCHES = ("truncation/no_hang", "truncation/refused_upstream")


class HangsOnCut(Proxy):
    async def upstream_failed(self, send: Send, started: bool) -> None:
        await anyio.sleep_forever()


build = HangsOnCut

"""Swallows the upstream's error and ends the response as if all were well (BerriAI/litellm#33404)."""

from harness.proxies.reference import Proxy, Send, finish

CATCHES = ("truncation/cut_is_an_error",)


class MasksCut(Proxy):
    async def upstream_failed(self, send: Send, started: bool) -> None:
        if started:
            await finish(send)
        else:
            await super().upstream_failed(send, started)


build = MasksCut

"""Reports an upstream error by writing it into the audio, and then cuts the connection."""

from harness.proxies.reference import Proxy, Send

CATCHES = ("truncation/strict_prefix",)


class Pollutes(Proxy):
    async def upstream_failed(self, send: Send, started: bool) -> None:
        if started:
            await send({"type": "http.response.body", "body": b"Error: upstream failed", "more_body": True})
        else:
            await super().upstream_failed(send, started)


build = Pollutes

"""Writes the error into the audio and ends in good order, as http-proxy-middleware does."""

from harness.proxies.reference import Proxy, Send, finish

CATCHES = ("truncation/strict_prefix", "truncation/cut_is_an_error")


class ErrorTextAsAudio(Proxy):
    async def upstream_failed(self, send: Send, started: bool) -> None:
        if started:
            await finish(send, b"Error occurred while trying to proxy")
        else:
            await super().upstream_failed(send, started)


build = ErrorTextAsAudio

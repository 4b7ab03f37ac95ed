"""Decodes the audio as UTF-8 on its way."""

import httpx

from harness.proxies.reference import Head, Proxy, Stream, deferred_stream

CATCHES = (
    "fidelity/bytes",
    "closure/body_arrives",
    "closure/slots_return",
    "disconnect/next_request_clean",
    "truncation/strict_prefix",
    "fidelity/playable",
    "events/one_byte_writes",
    "fidelity/encoding_label",
    "disconnect/after_last_byte",
    "reuse/after_abort",
    "reuse/idle_close",
)


class AudioAsText(Proxy):
    async def ask(self, request: httpx.Request) -> Stream:
        async for item in deferred_stream(self.http, request):
            if isinstance(item, Head):
                yield Head(item.status, [(n, v) for n, v in item.headers if n.lower() != b"content-length"])
            else:
                yield item.decode(errors="replace").encode()


build = AudioAsText

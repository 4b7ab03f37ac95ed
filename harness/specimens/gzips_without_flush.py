"""Packs for clients that can unpack, and lets the compressor decide when something comes out (vercel/next.js#66263)."""

import zlib

import httpx

from harness.proxies.reference import Head, Proxy, Stream, deferred_stream

CATCHES = ("delivery/compressed",)
GZIP = 31
"""What zlib calls the gzip format."""


class GzipsWithoutFlush(Proxy):
    async def ask(self, request: httpx.Request) -> Stream:
        packer = None
        async for item in deferred_stream(self.http, request):
            if isinstance(item, Head):
                packed = any(name.lower() == b"content-encoding" for name, _ in item.headers)
                if item.status == 200 and not packed and "gzip" in request.headers.get("accept-encoding", ""):
                    packer = zlib.compressobj(wbits=GZIP)
                    others = [(name, value) for name, value in item.headers if name.lower() != b"content-length"]
                    item = Head(item.status, [*others, (b"content-encoding", b"gzip")])
                yield item
            elif data := packer.compress(item) if packer else item:
                yield data
        if packer:
            yield packer.flush()


build = GzipsWithoutFlush

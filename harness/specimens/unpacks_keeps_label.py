"""Hands on what its HTTP client has unpacked, with the headers of what it was before (BerriAI/litellm#35589)."""

import httpx

from harness.proxies.reference import Head, Proxy, Stream, end_to_end

CATCHES = ("fidelity/encoding_label",)


class UnpacksKeepsLabel(Proxy):
    async def ask(self, request: httpx.Request) -> Stream:
        async with self.http.stream(
            request.method, request.url, headers=request.headers, content=request.content
        ) as response:
            headers = end_to_end(response.headers.raw)
            if "content-encoding" in response.headers:
                headers = [(name, value) for name, value in headers if name.lower() != b"content-length"]
            yield Head(response.status_code, headers)
            async for data in response.aiter_bytes():
                yield data


build = UnpacksKeepsLabel

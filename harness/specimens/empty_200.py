"""As closed_at_return, the error swallowed: a 200 that ends in good order and carries nothing (encode/httpx#830)."""

import httpx

from harness.proxies.reference import Head, Proxy, Stream, end_to_end

CATCHES = (
    "delivery/lockstep",
    "delivery/not_regrouped",
    "delivery/tail",
    "closure/body_arrives",
    "closure/slots_return",
    "disconnect/next_request_clean",
    "fidelity/bytes",
    "truncation/status_kept",
    "truncation/cut_is_an_error",
    "events/honoured",
    "events/progressive",
    "events/usage",
    "fidelity/playable",
    "delivery/compressed",
    "events/big_event",
    "events/crlf",
    "events/final_event",
    "events/last_event",
    "events/one_byte_writes",
    "fidelity/encoding_label",
    "disconnect/after_last_byte",
    "reuse/after_abort",
    "reuse/idle_close",
)


class Empty200(Proxy):
    async def ask(self, request: httpx.Request) -> Stream:
        response = await self.http.send(request, stream=True)
        await response.aclose()
        headers = [(n, v) for n, v in end_to_end(response.headers.raw) if n.lower() != b"content-length"]
        yield Head(response.status_code, headers)


build = Empty200

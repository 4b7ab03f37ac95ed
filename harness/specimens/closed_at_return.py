"""Returns a response whose upstream context has closed by the time the body is iterated (BerriAI/litellm#14892)."""

import httpx

from harness.proxies.reference import Head, Proxy, Stream, end_to_end, streams_of

HALF_FIX = "The body is no longer read whole, but the context ends with the function that opened it."
CATCHES = (
    "delivery/lockstep",
    "delivery/not_regrouped",
    "delivery/tail",
    "closure/body_arrives",
    "closure/deferred_stream",
    "closure/slots_return",
    "disconnect/next_request_clean",
    "fidelity/bytes",
    "truncation/status_kept",
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


class ClosedAtReturn(Proxy):
    async def speech(self, request: httpx.Request) -> httpx.Response:
        response = await self.http.send(request, stream=True)
        try:
            return response
        finally:
            await response.aclose()

    async def ask(self, request: httpx.Request) -> Stream:
        response = await self.speech(request)
        yield Head(response.status_code, end_to_end(response.headers.raw))
        async for data in response.aiter_raw():
            yield data


build = ClosedAtReturn
make_stream = streams_of(ClosedAtReturn)

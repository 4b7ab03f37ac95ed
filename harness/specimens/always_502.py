"""Cannot reach its upstream, ever, and says so: an answer in good order that keeps half of all claims by accident."""

import httpx

from harness.proxies.reference import Proxy, Stream

CATCHES = ("fidelity/answers",)


class Always502(Proxy):
    async def ask(self, request: httpx.Request) -> Stream:
        raise httpx.ConnectError("no route to the upstream")
        yield


build = Always502

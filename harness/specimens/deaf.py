"""Nobody listens for the client leaving: the server swallows what is sent, and the upstream is read to its end."""

import anyio

from harness.proxies.reference import Proxy, Receive

CATCHES = (
    "disconnect/silent_upstream",
    "disconnect/active_upstream",
    "disconnect/after_headers",
    "disconnect/before_headers",
    "closure/abandoned_before_body",
)


class Deaf(Proxy):
    async def client_left(self, receive: Receive) -> None:
        await anyio.sleep_forever()


build = Deaf

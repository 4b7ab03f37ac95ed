"""Copies the upstream's Content-Length onto a response that goes out in chunks (BerriAI/litellm#25624).

The server that this runs on would mend it. So the length goes out before the server's own head, which becomes the value
of the last header in ours.
"""

import os
import socket
from contextlib import suppress
from stat import S_ISSOCK

from harness.proxies.reference import Message, Proxy, Receive, Send

CATCHES = ("fidelity/framing",)


class SaysBothFramings(Proxy):
    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                headers = {name.lower(): value for name, value in message["headers"]}
                if length := headers.pop(b"content-length", None):
                    write_past_the_server(
                        tuple(scope["client"]), b"HTTP/1.1 200 OK\r\ncontent-length: " + length + b"\r\nx-server: "
                    )
                    message = {**message, "headers": list(headers.items())}
            await send(message)

        await super().__call__(scope, receive, sending)


def write_past_the_server(peer: tuple[str, int], data: bytes) -> None:
    """Write on the socket whose other end is this."""
    for name in os.listdir("/dev/fd"):
        with suppress(OSError):
            if S_ISSOCK(os.fstat(int(name)).st_mode):
                with socket.socket(fileno=os.dup(int(name))) as sock:
                    if sock.getpeername()[:2] == peer:
                        sock.send(data)


build = SaysBothFramings

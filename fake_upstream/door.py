"""The door that clients come in by: a listening socket, and who came through it. It can be shut and opened again."""

from __future__ import annotations

import socket

from fake_upstream.notice import Notice
from fake_upstream.wire import Wire

BACKLOG = 4096


def listen(host: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """A listening socket: clients can connect from now on. Port 0 lets the kernel choose. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # A port that the kernel chose is given back when the socket stops listening (see Door); one that was asked
        # for is not. So we let it choose for another socket first, and then ask for that port.
        with socket.socket(family, socket.SOCK_STREAM) as first:
            if port == 0:
                first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                first.bind((host, 0))
                port = first.getsockname()[1]
            sock.bind((host, port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def url_of(sock: socket.socket) -> str:
    """The http:// URL under which a listening socket is reached, without a path."""
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Door:
    """A listening socket that can be shut: clients are then refused, and the port stays ours."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.open = True
        self.wires: set[Wire] = set()
        """The connections that came through it and still are."""
        self._notice = Notice()

    def shut(self) -> None:
        """Refuse new connections and reset those there are. On the serving loop."""
        self.open = False
        self.sock.shutdown(socket.SHUT_RDWR)  # the socket stops listening and stays bound
        for wire in tuple(self.wires):
            wire.reset()

    def reopen(self) -> None:
        """Accept connections again. From any thread."""
        self.sock.listen(BACKLOG)
        self.open = True
        self._notice.notify()

    async def until_open(self) -> None:
        await self._notice.until(lambda: self.open)

"""One TCP connection, held by the socket: read, write, half-close, FIN, RST, and who left and how.

The same code on asyncio and trio, because it waits for the bare socket. It knows nothing of HTTP: the bytes it
reads go to whoever parses them, the frames it is given go out as they are. It reads all the time, whoever
listens: hypercorn stops reading after a pipelined byte, and a quiet app would never hear its peer leave.
"""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from math import inf
from time import monotonic_ns
from typing import Literal

import anyio

from fake_upstream.journal import Notes

RECV = 65_536
LINGER_ZERO = struct.pack("ii", 1, 0)
"""SO_LINGER with time 0: close() sends RST and drops what is unsent (socket(7))."""


class PeerLeft(Exception):
    """A write failed because the peer is gone; the journal has the details."""


def set_reset_on_close(sock: socket.socket) -> None:
    """Make the coming close() of this socket a RST."""
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)


class Wire:
    """A connected, non-blocking socket and its notes. `accepted` counts bytes that the kernel took from us."""

    def __init__(self, sock: socket.socket, notes: Notes) -> None:
        self.sock = sock
        self.notes = notes
        self.peer: Literal["fin", "reset"] | None = None
        self.left = anyio.Event()
        """Set once the peer sent FIN or RST, or we closed."""
        self.closed = False
        self.owned = False
        """True while a script owns the byte stream: what the HTTP library wants to write is dropped."""
        self.accepted = 0
        self._left_at = 0
        self._inbox_in, self._inbox = anyio.create_memory_object_stream[bytes](inf)
        self._write_lock = anyio.Lock()
        with suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def pump(self) -> None:
        """Read until the peer leaves or we close; run this for as long as the connection lives."""
        with self._inbox_in:
            while not self.closed:
                try:
                    data = self.sock.recv(RECV)
                except BlockingIOError:
                    with suppress(anyio.ClosedResourceError):
                        await anyio.wait_readable(self.sock)
                    continue
                except OSError:
                    self._peer_left("reset")
                    break
                if not data:
                    self._peer_left("fin")
                    break
                await self._inbox_in.send(data)

    async def read(self) -> bytes:
        """The next bytes, b"" once there are no more."""
        try:
            return await self._inbox.receive()
        except anyio.EndOfStream:
            return b""

    async def write(self, data: bytes) -> None:
        """Hand all bytes to the kernel, in one segment where it has room. Raises PeerLeft."""
        async with self._write_lock:
            rest = memoryview(data)
            while rest:
                if self.closed:
                    raise PeerLeft
                try:
                    count = self.sock.send(rest)
                except BlockingIOError:
                    with suppress(anyio.ClosedResourceError):
                        await anyio.wait_writable(self.sock)
                    continue
                except OSError as error:
                    self.notes.note("write_failed", note=type(error).__name__, size=len(data) - len(rest))
                    # A failed send consumes the socket's error; the reader would take what is left for a FIN.
                    # EPIPE: the FIN came first, and only a write after it was answered with RST.
                    self._peer_left("fin" if isinstance(error, BrokenPipeError) else "reset")
                    raise PeerLeft from error
                self.accepted += count
                rest = rest[count:]

    def fin(self) -> None:
        """Close with FIN. Reads away what came meanwhile, for which the kernel would answer with RST."""
        if not self.closed:
            with suppress(OSError):
                while self.sock.recv(RECV):
                    pass
            self._close("fin")

    def reset(self) -> None:
        """Close with RST; what is unsent is dropped."""
        if not self.closed:
            set_reset_on_close(self.sock)
            self._close("reset")

    def narrow(self, size: int) -> None:
        """Let the kernel hold at most so many unsent bytes (SO_SNDBUF). From any thread."""
        with suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)

    def half_close(self) -> None:
        """Send FIN and go on reading. From any thread."""
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    def drop(self) -> None:
        """Nobody reads any more: RST, unless it is closed already."""
        self.reset()
        self._inbox_in.close()
        self._inbox.close()

    def _close(self, how: str) -> None:
        self.closed = True
        self.notes.note("closed", note=how, at=monotonic_ns())
        anyio.notify_closing(self.sock)
        self.sock.close()
        self.left.set()

    def _peer_left(self, how: Literal["fin", "reset"]) -> None:
        if self.peer is None and not self.closed:
            self.peer = how
            self._left_at = monotonic_ns()
            self.note_departure()
            self.left.set()

    def note_departure(self) -> None:
        """Note how and when the peer left, if it did, under the request that the connection is at.

        Called again once a request is known: its peer may have left before we had read what it asked for, and a
        departure that stands under no request looks like none.
        """
        if self.peer:
            self.notes.note("peer_reset" if self.peer == "reset" else "peer_fin", at=self._left_at)

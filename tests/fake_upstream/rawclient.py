"""A plain blocking TCP client and the few helpers that the tests of the fake upstream share.

The client knows no HTTP library: it sees segments, FIN and RST as the kernel hands them over. Its calls block, so
tests run them in a thread (`off`). Every wait has a guard that only a deadlock can reach; none is a threshold.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

import anyio
import pytest

from fake_upstream.events import Event
from fake_upstream.journal import Journal
from fake_upstream.service import headers_of
from fake_upstream.upstream import FakeUpstream, fake_upstream

SERVICE = "".join(f"{name}: {value}\r\n" for name, value in headers_of(1, 0)).encode()
"""The header lines of the service in its answer to the first request, which nothing delays."""
GUARD = 30.0
"""Seconds after which a test that waits for ever fails instead."""

SPEECH = "/v1/audio/speech"
T = TypeVar("T")
How = Literal["fin", "reset"]


def request(
    text: str = "hello",
    *,
    method: str = "POST",
    path: str = SPEECH,
    version: str = "1.1",
    headers: tuple[str, ...] = (),
    body: bytes | None = None,
) -> bytes:
    """The bytes of one request; the body is the usual JSON with `text` as its input unless it is given."""
    if body is None:
        body = json.dumps({"model": "tts-1", "input": text, "voice": "alloy"}).encode()
    lines = [f"{method} {path} HTTP/{version}", "host: upstream", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


class RawClient:
    """One TCP connection to `url`, with blocking calls."""

    def __init__(self, url: str, *, receive_buffer: int | None = None) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        self.sock = socket.socket(socket.AF_INET6 if ":" in parts.hostname else socket.AF_INET)
        self.sock.settimeout(GUARD)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            self.sock.connect((parts.hostname, parts.port))
        except OSError:
            self.sock.close()
            raise

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def recv(self, most: int = 1 << 20) -> bytes:
        """What one recv() gives; b"" at FIN. Raises ConnectionResetError at RST."""
        return self.sock.recv(most)

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes."""
        data = bytearray()
        while len(data) < size:
            more = self.recv(size - len(data))
            assert more, f"the connection ended after {len(data)} of {size} bytes"
            data += more
        return bytes(data)

    def head(self) -> bytes:
        """Status line and headers, to the empty line; reads no byte further."""
        data = b""
        if (end := self.sock.recv(1 << 16, socket.MSG_PEEK).find(b"\r\n\r\n")) >= 0:
            data = self.read(end + 4)  # all in one go, as it usually comes
        while not data.endswith(b"\r\n\r\n"):
            data += self.read(1)
        return data

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of one response with a Content-Length."""
        first, *lines = self.head().decode("latin-1").split("\r\n")[:-2]
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        return int(first.split()[1]), headers, self.read(int(headers["content-length"]))

    def rest(self) -> tuple[bytes, How]:
        """All bytes until the connection ends, and how it ended."""
        data = b""
        while True:
            try:
                more = self.recv()
            except ConnectionResetError:
                return data, "reset"
            if not more:
                return data, "fin"
            data += more

    def has_nothing(self) -> bool:
        """Whether the connection is open and no byte waits, at this instant."""
        self.sock.setblocking(False)
        try:
            self.sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        finally:
            self.sock.settimeout(GUARD)
        return False

    def half_close(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """FIN, or RST if unread bytes are pending: the kernel's choice."""
        self.sock.close()

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def leave(self, how: How) -> None:
        """FIN or RST, whatever is pending. After FIN the socket must still be closed."""
        if how == "fin":
            self.half_close()
        else:
            self.reset()

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()


async def off(call: Callable[..., T], *args: Any) -> T:
    """Run a blocking call in a thread, so that the loop under test goes on."""
    return await anyio.to_thread.run_sync(call, *args, abandon_on_cancel=True)


def converse(url: str, data: bytes) -> tuple[bytes, How]:
    """Send bytes on a connection of their own and read to the end."""
    with RawClient(url) as client:
        client.send(data)
        return client.rest()


@asynccontextmanager
async def served(**options: Any) -> AsyncGenerator[FakeUpstream]:
    """A fake upstream for one test, under the guard."""
    with anyio.fail_after(GUARD):
        async with fake_upstream(**options) as upstream:
            yield upstream


def whats(events: tuple[Event, ...]) -> list[str]:
    """Their names, without `recycled`: that comes after the client has all, so a test may look before or after it."""
    return [event.what for event in events if event.what != "recycled"]


async def saw(journal: Journal, kinds: str | tuple[str, ...], **wanted: Any) -> Event:
    """Wait for the first event of these kinds with these fields, under any key."""
    names = (kinds,) if isinstance(kinds, str) else kinds

    def found() -> list[Event]:
        return [e for e in journal.since() if e.what in names and all(getattr(e, k) == v for k, v in wanted.items())]

    await journal.until(lambda: bool(found()))
    return found()[0]


def descriptors() -> int:
    """How many descriptors this process holds."""
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("descriptors can be counted on Linux only: there is no /proc/self/fd here")
    return len(os.listdir("/proc/self/fd"))

"""The recording client: one request through the target, every read stamped, leaving when and how it is told."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from time import monotonic_ns
from typing import Any

import anyio
import httpcore

from fake_upstream.events import Event
from fake_upstream.notice import Notice
from harness.sockets import Leave, SocketBackend, SocketTransport


class Client:
    """Its events, in order, and the bytes of its response body. All of it belongs to one event loop."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.events: list[Event] = []
        self.body = bytearray()
        self.request = b""
        self.status: int | None = None
        self.headers: tuple[tuple[str, str], ...] = ()
        self.over = False
        self.has_leave = False
        """Whether something came while the body waited, for a request that says `Expect: 100-continue`."""
        self.notice = Notice()
        self._backend = SocketBackend(on_connect=lambda: self.note("connected"))
        self._scope = anyio.CancelScope()
        self._paused = False
        self._sends = False

    def note(self, what: str, at: int | None = None, **details: Any) -> None:
        self.events.append(Event(at or monotonic_ns(), what, key=self.key, **details))
        self.notice.notify()

    async def run(self, url: str, body: bytes, headers: Mapping[str, str], method: str = "POST") -> None:
        """Send the request and record the response to its end. Never raises for what the target does."""
        self.request = body
        with self._scope:
            try:
                await self._converse(method, url, body, headers)
            except (httpcore.NetworkError, httpcore.ProtocolError, anyio.ClosedResourceError) as error:
                if not self.over:
                    self.over = True
                    self.note("broke", note=f"{type(error).__name__}: {error}".rstrip(": "))

    async def _converse(self, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        async with SocketTransport(self._backend) as transport:
            content: bytes | AsyncIterator[bytes] = body
            if "expect" in headers:
                content = self._body_after_leave(body)
                headers = {**headers, "content-length": str(len(body))}
            response = await transport.send(method, url, content, headers)
            try:
                stream = self._backend.streams[-1]
                self.status = response.status_code
                self.headers = tuple(response.headers.items())
                if self._paused:
                    stream.pause()
                self.note("head_received", stream.last_read, note=str(response.status_code))
                async for data in response.aiter_raw():
                    self.body += data
                    self.note("received", stream.last_read, size=len(data))
                if not self.over:  # it may have left while the response was closing
                    self.over = True
                    self.note("ended")
            finally:
                with anyio.CancelScope(shield=True):
                    await response.aclose()

    async def _body_after_leave(self, body: bytes) -> AsyncIterator[bytes]:
        """The body, once it has been given leave or is sent without (RFC 9110, section 10.1.1)."""
        async with anyio.create_task_group() as tasks:

            async def leave() -> None:
                with suppress(anyio.ClosedResourceError):  # we have left
                    await self._backend.streams[-1].arrives()
                    self.has_leave = True
                    self.notice.notify()

            tasks.start_soon(leave)
            await self.notice.until(lambda: self._sends)
            tasks.cancel_scope.cancel()
        yield body

    def send_body(self) -> None:
        """Send the body that waits for leave."""
        self._sends = True
        self.notice.notify()

    @property
    def tail(self) -> bytes:
        """The last bytes that came on the wire, up to 1 KB."""
        return self._backend.streams[-1].tail if self._backend.streams else b""

    def leave(self, how: Leave) -> None:
        """Close the connection, with FIN or with RST, whatever state the response is in."""
        if self.over:
            return
        self.over = True
        self.note("left", note=how)
        for stream in self._backend.streams:
            stream.leave(how)
        self._scope.cancel()

    def half_close(self) -> None:
        """Say that nothing more will be sent; the rest of the response is still read."""
        self.note("half_closed")
        for stream in self._backend.streams:
            stream.half_close()

    def narrow(self, size: int) -> None:
        """Take at most so many bytes from the network ahead of what is read (SO_RCVBUF)."""
        self._backend.receive_buffer = size
        for stream in self._backend.streams:
            stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)

    def pause(self) -> None:
        """Read nothing more; what comes stays with the kernel and then with the target."""
        self._paused = True
        for stream in self._backend.streams:
            stream.pause()

    def resume(self) -> None:
        self._paused = False
        for stream in self._backend.streams:
            stream.resume()

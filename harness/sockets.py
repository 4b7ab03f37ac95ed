"""The client's end of the wire: an httpcore network backend on bare sockets, alike on asyncio and trio.

It stamps every read, stops reading on demand, and leaves with FIN or RST as told. Of httpx it uses only the
public interface, so that httpx2 and httpcore2 can take its place.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import suppress
from time import monotonic_ns
from typing import Any, Literal

import anyio
import httpcore
import httpx
from anyio.lowlevel import checkpoint

from fake_upstream.wire import set_reset_on_close

Leave = Literal["fin", "reset"]


TAIL = 1_024


class SocketStream(httpcore.AsyncNetworkStream):
    """A connected socket. `last_read` is when bytes last came in (ns), `tail` what came last of all, up to 1 KB.

    Waits have no time limit of their own.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.last_read = 0
        self.tail = b""
        self.closed = False
        self._reading = anyio.Event()
        self._reading.set()

    def pause(self) -> None:
        """Read nothing more until `resume`."""
        self._reading = anyio.Event()

    def resume(self) -> None:
        self._reading.set()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        while True:
            await self._reading.wait()
            try:
                data = self.sock.recv(max_bytes)
            except BlockingIOError:
                await anyio.wait_readable(self.sock)
            except OSError as error:
                raise httpcore.ReadError(_name(error)) from error
            else:
                self.last_read = monotonic_ns()
                self.tail = (self.tail + data[-TAIL:])[-TAIL:]
                return data

    async def arrives(self) -> None:
        """Return once there is something to read, be it the end."""
        if self.closed:
            await checkpoint()  # whoever leaves cancels what waits here, too
            raise anyio.ClosedResourceError
        await anyio.wait_readable(self.sock)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        rest = memoryview(buffer)
        while rest:
            try:
                rest = rest[self.sock.send(rest) :]
            except BlockingIOError:
                await anyio.wait_writable(self.sock)
            except OSError as error:
                raise httpcore.WriteError(_name(error)) from error

    def half_close(self) -> None:
        """Send FIN and go on reading."""
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    def leave(self, how: Leave) -> None:
        """Close now: with RST, or with FIN (first, and whatever is still unread)."""
        if self.closed:
            return
        self.closed = True
        if how == "reset":
            set_reset_on_close(self.sock)
        else:
            self.half_close()  # close() alone would send RST if bytes are unread
        anyio.notify_closing(self.sock)
        self.sock.close()

    async def aclose(self) -> None:
        self.leave("fin")

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":  # httpcore asks before it takes a connection from its pool
            return self.closed or _has_something(self.sock)
        return self.sock if info == "socket" else None


class SocketBackend(httpcore.AsyncNetworkBackend):
    """Connects; keeps the streams it made, latest last. `receive_buffer` is SO_RCVBUF in bytes."""

    def __init__(self, receive_buffer: int | None = None, on_connect: Callable[[], object] = lambda: None) -> None:
        self.receive_buffer = receive_buffer
        self.on_connect = on_connect
        self.streams: list[SocketStream] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.receive_buffer is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer)
            with suppress(BlockingIOError):
                sock.connect((host, port))
            await anyio.wait_writable(sock)
            if code := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(code, os.strerror(code))
        except OSError as error:
            sock.close()
            raise httpcore.ConnectError(f"{host}:{port}: {_name(error)}") from error
        except BaseException:
            sock.close()
            raise
        self.streams.append(SocketStream(sock))
        self.on_connect()
        return self.streams[-1]

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)


class SocketTransport(httpx.AsyncBaseTransport):
    """httpx on a SocketBackend. Errors are httpcore's: the recording wants them as they came."""

    def __init__(self, backend: SocketBackend) -> None:
        self.pool = httpcore.AsyncConnectionPool(network_backend=backend, max_connections=None)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        answer = await self.pool.handle_async_request(
            httpcore.Request(request.method, url, headers=request.headers.raw, content=request.stream)
        )
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer), extensions=answer.extensions)

    async def send(
        self, method: str, url: str, body: bytes | AsyncIterator[bytes], headers: Mapping[str, str]
    ) -> httpx.Response:
        """Send a request; its response is unread. Not through a client: it looks at redirects, and raises for some."""
        given = {"accept": "*/*", "accept-encoding": "identity", "user-agent": "streamproof", **headers}
        return await self.handle_async_request(httpx.Request(method, url, content=body, headers=given))

    async def aclose(self) -> None:
        await self.pool.aclose()


class _Body(httpx.AsyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self.answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for data in self.answer.aiter_stream():
            yield data

    async def aclose(self) -> None:
        await self.answer.aclose()


def http_client(backend: SocketBackend) -> httpx.AsyncClient:
    """An httpx client that adds nothing of its own: no time limits, no environment, no redirects."""
    return httpx.AsyncClient(transport=SocketTransport(backend), timeout=None, trust_env=False)


def _has_something(sock: socket.socket) -> bool:
    try:
        sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _name(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, type(error).__name__)

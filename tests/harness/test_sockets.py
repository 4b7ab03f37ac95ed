"""The client's network backend, piece by piece: connecting, reading, writing, leaving, on bare sockets."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic_ns
from typing import Any

import anyio
import httpcore
import httpx
import pytest
from rawserver import GUARD, Peer, RawServer, answering, listening, serving

from harness.sockets import Leave, SocketBackend, SocketStream, SocketTransport, http_client


async def connected(server: RawServer, backend: SocketBackend | None = None) -> SocketStream:
    stream = await (backend or SocketBackend()).connect_tcp(*server.sock.getsockname()[:2])
    assert isinstance(stream, SocketStream)
    return stream


@asynccontextmanager
async def guarded() -> AsyncIterator[None]:
    with anyio.fail_after(GUARD):
        yield


async def test_a_read_is_stamped_when_it_returns(loop: str) -> None:
    with serving(lambda peer: (peer.send(b"abc"), peer.end())) as server:
        async with guarded():
            stream = await connected(server)
            assert stream.last_read == 0
            assert await stream.read(100) == b"abc"
            assert 0 < stream.last_read <= monotonic_ns()
            await stream.aclose()
            sent, how = server.result()
    assert sent <= stream.last_read
    assert how == "fin"


async def test_a_read_takes_no_more_than_asked(loop: str) -> None:
    with serving(lambda peer: peer.send(b"abcdef")) as server:
        async with guarded():
            stream = await connected(server)
            assert [await stream.read(2), await stream.read(4), await stream.read(1)] == [b"ab", b"cdef", b""]
            await stream.aclose()


async def test_a_read_after_a_reset_is_an_error_with_its_name(loop: str) -> None:
    with serving(lambda peer: (peer.cue(), peer.reset())) as server:
        async with guarded():
            stream = await connected(server)
            server.cue()
            with pytest.raises(httpcore.ReadError, match=r"^ECONNRESET$"):
                await stream.read(100)
            await stream.aclose()


async def test_a_write_to_one_who_has_gone_is_an_error_with_its_name(loop: str) -> None:
    with serving(lambda peer: (peer.cue(), peer.reset())) as server:
        async with guarded():
            stream = await connected(server)
            server.cue()
            server.result()
            with pytest.raises(httpcore.WriteError, match=r"^(EPIPE|ECONNRESET)$"):
                await _write_on(stream)
            await stream.aclose()


async def _write_on(stream: SocketStream) -> None:
    while True:  # the kernel may still take the first
        await stream.write(bytes(65_536))


async def test_a_large_write_waits_for_room_and_loses_nothing(loop: str) -> None:
    data = bytes(range(256)) * 40_000

    def talk(peer: Peer) -> bytes:
        peer.cue()
        received = b""
        while len(received) < len(data):
            received += peer.sock.recv(1 << 20)
        return received

    with serving(talk) as server:
        async with guarded(), anyio.create_task_group() as tasks:
            stream = await connected(server)
            tasks.start_soon(stream.write, data)
            await anyio.wait_all_tasks_blocked()
            server.cue()
        await stream.aclose()
        assert server.result() == data


async def test_a_paused_stream_waits_and_a_resumed_one_reads(loop: str) -> None:
    with serving(lambda peer: (peer.send(b"abc"), peer.end())) as server:
        async with guarded(), anyio.create_task_group() as tasks:
            stream = await connected(server)
            stream.pause()
            read: list[bytes] = []

            async def reader() -> None:
                read.append(await stream.read(100))

            tasks.start_soon(reader)
            await anyio.wait_all_tasks_blocked()
            assert read == []
            stream.resume()
        assert read == [b"abc"]
        await stream.aclose()


@pytest.mark.parametrize("how", ["fin", "reset"])
@pytest.mark.parametrize("unread", [False, True], ids=["nothing unread", "unread bytes"])
async def test_leaving_is_seen_as_told(loop: str, how: Leave, unread: bool) -> None:
    def talk(peer: Peer) -> str:
        if unread:
            peer.send(b"you will not read this")
        peer.cue()
        return peer.end()

    with serving(talk) as server:
        async with guarded():
            stream = await connected(server)
            server.cue()
            if unread:
                await anyio.wait_readable(stream.sock)
            stream.leave(how)
            stream.leave("reset" if how == "fin" else "fin")
            await stream.aclose()
        assert server.result() == how
    assert stream.closed


@pytest.mark.parametrize("how", ["fin", "reset"])
async def test_leaving_wakes_one_who_waits_for_bytes(loop: str, how: Leave) -> None:
    with serving(Peer.end) as server:
        async with guarded(), anyio.create_task_group() as tasks:
            stream = await connected(server)

            async def reader() -> None:
                with pytest.raises((anyio.ClosedResourceError, httpcore.ReadError)):
                    await stream.read(100)

            tasks.start_soon(reader)
            await anyio.wait_all_tasks_blocked()
            stream.leave(how)


async def test_whoever_comes_to_wait_for_bytes_after_leaving_is_sent_away(loop: str) -> None:
    """The client may leave between a task's start and its first step; who is cancelled then hears of nothing else."""
    with serving(lambda peer: peer.end()) as server:
        async with guarded():
            stream = await connected(server)
            stream.leave("reset")
            with pytest.raises(anyio.ClosedResourceError):
                await stream.arrives()
            with anyio.CancelScope() as scope:
                scope.cancel()
                await stream.arrives()
            assert scope.cancelled_caught


async def test_a_backend_keeps_its_streams_and_tells_of_each(loop: str) -> None:
    told: list[int] = []
    with listening() as server:
        async with guarded():
            backend = SocketBackend(on_connect=lambda: told.append(len(backend.streams)))
            streams = [await connected(server, backend) for _ in range(3)]
            assert backend.streams == streams
            assert told == [1, 2, 3]
            for stream in streams:
                await stream.aclose()


async def test_sockets_are_set_up_for_small_writes_and_for_the_buffer_asked(loop: str) -> None:
    with listening() as server:
        async with guarded():
            plain, small = await connected(server), await connected(server, SocketBackend(receive_buffer=4_096))
            option = small.sock.getsockopt
            assert option(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert option(socket.SOL_SOCKET, socket.SO_RCVBUF) < plain.sock.getsockopt(
                socket.SOL_SOCKET, socket.SO_RCVBUF
            )
            for stream in (plain, small):
                await stream.aclose()


async def test_a_refused_connection_is_an_error_that_names_the_place(loop: str) -> None:
    with listening() as server:
        host, port = server.sock.getsockname()
    async with guarded():
        with pytest.raises(httpcore.ConnectError) as error:
            await SocketBackend().connect_tcp(host, port)
    assert str(error.value) == f"127.0.0.1:{port}: ECONNREFUSED"


async def test_ipv6(loop: str) -> None:
    try:
        with serving(lambda peer: peer.send(b"six"), host="::1") as server:
            async with guarded():
                stream = await connected(server)
                assert await stream.read(100) == b"six"
                await stream.aclose()
    except OSError as error:
        pytest.skip(f"this machine has no ::1: {error}")


async def test_a_pool_may_ask_whether_a_stream_is_still_good(loop: str) -> None:
    """httpcore asks before it uses a connection again: bytes, an end or a close of ours make it stale."""

    def talk(peer: Peer) -> None:
        peer.cue()
        peer.send(b"unasked")

    with serving(talk) as server:
        async with guarded():
            stream = await connected(server)
            assert stream.get_extra_info("is_readable") is False
            assert stream.get_extra_info("socket") is stream.sock
            assert stream.get_extra_info("ssl_object") is None
            server.cue()
            await anyio.wait_readable(stream.sock)
            assert stream.get_extra_info("is_readable") is True
            await stream.aclose()
            assert stream.get_extra_info("is_readable") is True


async def test_an_httpx_client_on_it_has_no_limits_and_follows_nothing(loop: str) -> None:
    with serving(answering(b"HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 2\r\n\r\nok")) as server:
        async with guarded(), http_client(SocketBackend()) as http:
            assert http.timeout == httpx.Timeout(None)
            answer = await http.get(server.url)
    assert (answer.status_code, answer.content) == (302, b"ok")


async def test_a_transport_uses_a_connection_again(loop: str) -> None:
    """Canaries go through one connection, as a client of its own would."""

    def talk(peer: Peer) -> int:
        for _ in range(3):
            peer.request()
            peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        return 3

    with serving(talk) as server:
        async with guarded(), SocketTransport(backend := SocketBackend()) as transport:
            for _ in range(3):
                answer = await transport.send("POST", server.url, b"{}", {})
                assert await _read(answer) == b"ok"
            assert len(backend.streams) == 1


async def _read(answer: Any) -> bytes:
    data = b"".join([part async for part in answer.aiter_raw()])
    await answer.aclose()
    return data

"""The recording client, against a server of bare sockets: what it notes, when, and how it leaves."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from time import monotonic_ns
from typing import Any

import anyio
import pytest
from rawserver import GUARD, HEAD, LAST, Peer, RawServer, answering, chunk, listening, serving

from harness.client import Client
from harness.record import OVER
from harness.sockets import Leave

BODY = b'{"input": "hello"}'
ways = pytest.mark.parametrize("how", ["fin", "reset"])


@asynccontextmanager
async def asking(server: RawServer) -> AsyncIterator[Client]:
    """A client that has been sent on its way; the block's end waits until it is done."""
    client = Client("key")
    with anyio.fail_after(GUARD):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.run, server.url, BODY, {"content-type": "application/json"})
            yield client


async def ask(server: RawServer) -> Client:
    """A client that has had its answer."""
    async with asking(server) as client:
        pass
    return client


def whats(client: Client) -> list[str]:
    return [event.what for event in client.events]


def notes(client: Client) -> list[tuple[str, str]]:
    return [(event.what, event.note) for event in client.events]


async def test_a_whole_conversation(loop: str) -> None:
    def talk(peer: Peer) -> tuple[bytes, bytes]:
        request = peer.request()
        peer.send(HEAD + chunk(b"abc") + chunk(b"defgh") + LAST)
        return request

    with serving(talk) as server:
        client = await ask(server)
        head, body = server.result()
    assert notes(client) == [
        ("connected", ""),
        ("head_received", "200"),
        ("received", ""),
        ("received", ""),
        ("ended", ""),
    ]
    assert [event.size for event in client.events if event.what == "received"] == [3, 5]
    assert (bytes(client.body), client.status, client.over) == (b"abcdefgh", 200, True)
    assert ("content-type", "audio/mpeg") in client.headers
    assert {event.key for event in client.events} == {"key"}
    assert (body, client.request) == (BODY, BODY)
    lines = head.decode().lower().split("\r\n")
    assert lines[0] == "post /v1/audio/speech http/1.1"
    assert "accept-encoding: identity" in lines, "httpx would ask for gzip by itself"
    assert "content-type: application/json" in lines


async def test_a_request_of_another_method_and_with_other_headers(loop: str) -> None:
    def talk(peer: Peer) -> tuple[bytes, bytes]:
        request = peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 700\r\n\r\n")
        return request

    with serving(talk) as server:
        client = Client("key")
        with anyio.fail_after(GUARD):
            await client.run(server.url, BODY, {"accept-encoding": "gzip", "range": "bytes=0-9"}, "HEAD")
        head, body = server.result()
    lines = head.decode().lower().split("\r\n")
    assert lines[0] == "head /v1/audio/speech http/1.1"
    assert {"accept-encoding: gzip", "range: bytes=0-9"} <= set(lines)
    assert body == BODY
    assert whats(client)[-1] == "ended", "the answer to HEAD has no body, whatever its length says"


LEAVE = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.mark.parametrize("first", [LEAVE, HEAD + LAST], ids=["leave", "the answer at once"])
async def test_a_body_waits_for_leave_and_is_sent_whole(loop: str, first: bytes) -> None:
    def talk(peer: Peer) -> tuple[bytes, bytes, bytes]:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += peer.sock.recv(1)
        peer.tell()
        peer.cue()
        peer.send(first)
        body = peer.sock.recv(9_000)
        if first == LEAVE:
            peer.send(HEAD + LAST)
        return head, body, first

    with serving(talk) as server:
        client = Client("key")
        with anyio.fail_after(GUARD):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.run, server.url, BODY, {"expect": "100-continue"})
                await server.told()
                assert not client.has_leave
                server.cue()
                await client.notice.until(lambda: client.has_leave)
                client.send_body()
        head, body, _ = server.result()
    assert b"expect: 100-continue" in head.lower()
    assert f"content-length: {len(BODY)}".encode() in head.lower()
    assert b"transfer-encoding" not in head.lower()
    assert body == BODY
    assert (client.status, whats(client)[-1]) == (200, "ended")


async def test_a_body_can_be_sent_without_leave(loop: str) -> None:
    """As curl does after a second: a server that does not know the field reads on."""
    with serving(answering(HEAD + LAST)) as server:
        client = Client("key")
        client.send_body()
        with anyio.fail_after(GUARD):
            await client.run(server.url, BODY, {"expect": "100-continue"})
    assert (client.status, whats(client)[-1]) == (200, "ended")


@ways
async def test_leaving_while_the_body_waits_for_leave(loop: str, how: Leave) -> None:
    def talk(peer: Peer) -> str:
        peer.tell()
        return peer.end()

    with serving(talk) as server:
        client = Client("key")
        with anyio.fail_after(GUARD):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.run, server.url, BODY, {"expect": "100-continue"})
                await server.told()
                await client.notice.until(lambda: "connected" in whats(client))
                client.leave(how)
        assert server.result() == how
    assert notes(client)[-1] == ("left", how)


@pytest.mark.parametrize("size", [3, 5_000])
async def test_what_came_last_is_kept_as_it_was_on_the_wire(loop: str, size: int) -> None:
    """Trailers: no HTTP library tells of them."""
    with serving(answering(HEAD + chunk(bytes(size)) + b"0\r\nx-checksum: c0ffee\r\n\r\n")) as server:
        client = await ask(server)
    assert client.tail.endswith(b"\r\n0\r\nx-checksum: c0ffee\r\n\r\n")
    assert len(client.tail) <= 1_024
    assert len(client.body) == size


async def test_every_read_is_stamped_after_its_bytes_were_sent_and_before_it_is_told(loop: str) -> None:
    """The server sends a piece only when the client has told of the one before: stamps cannot lie either way."""

    def talk(peer: Peer) -> list[int]:
        peer.request()
        sent = [peer.send(HEAD)]
        for _ in range(20):
            peer.cue()
            sent.append(peer.send(chunk(b"x" * 100)))
        peer.cue()
        peer.send(LAST)
        return sent

    told = []
    with serving(talk) as server:
        async with asking(server) as client:
            await client.notice.until(lambda: client.status is not None)
            told.append(monotonic_ns())
            for n in range(1, 21):
                server.cue()
                await client.notice.until(lambda n=n: len(client.body) == n * 100)  # type: ignore[misc]
                told.append(monotonic_ns())
            server.cue()
        sent = server.result()
    stamps = [event.at for event in client.events if event.what in ("head_received", "received")]
    assert all(a <= b <= c for a, b, c in zip(sent, stamps, told, strict=True))
    assert [event.at for event in client.events] == sorted(event.at for event in client.events)


async def test_chunks_that_came_in_one_read_have_one_stamp(loop: str) -> None:
    """They are three items to httpx; when they were there is what counts."""

    def talk(peer: Peer) -> None:
        peer.request()
        peer.send(HEAD)
        peer.cue()
        peer.send(chunk(b"a" * 10) + chunk(b"b" * 20) + chunk(b"c" * 30) + LAST)

    with serving(talk) as server:
        async with asking(server) as client:
            await client.notice.until(lambda: client.status is not None)
            server.cue()
    reads = [event for event in client.events if event.what == "received"]
    assert [event.size for event in reads] == [10, 20, 30]
    assert len({event.at for event in reads}) == 1


async def test_a_chunk_in_pieces_is_told_piece_by_piece(loop: str) -> None:
    """What has arrived counts, not what is complete: a chunk of 30 of which 10 bytes came is 10 bytes in hand."""

    def talk(peer: Peer) -> None:
        peer.request()
        peer.send(HEAD + b"1e\r\n")
        for _ in range(3):
            peer.send(b"x" * 10)
            peer.cue()
        peer.send(b"\r\n" + LAST)

    with serving(talk) as server:
        async with asking(server) as client:
            for n in (10, 20, 30):
                await client.notice.until(lambda n=n: len(client.body) == n)  # type: ignore[misc]
                server.cue()
    assert [event.size for event in client.events if event.what == "received"] == [10, 10, 10]


@pytest.mark.parametrize(
    ("framing", "body"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 6", b"abcdef"),
        (b"HTTP/1.1 200 OK\r\nconnection: close", b"abcdef"),
        (b"HTTP/1.0 200 OK", b"abcdef"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0", b""),
        (b"HTTP/1.1 204 No Content", b""),
        (b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1", b"z"),
    ],
    ids=["length", "close", "http10", "empty", "204", "103"],
)
async def test_every_framing_ends_well(loop: str, framing: bytes, body: bytes) -> None:
    with serving(answering(framing + b"\r\n\r\n" + body)) as server:
        client = await ask(server)
    assert whats(client)[-1] == "ended"
    assert bytes(client.body) == body


@ways
async def test_leaving_in_the_middle_of_the_body(loop: str, how: Leave) -> None:
    def talk(peer: Peer) -> str:
        peer.request()
        peer.send(HEAD + chunk(b"abc"))
        return peer.end()

    with serving(talk) as server:
        async with asking(server) as client:
            await client.notice.until(lambda: len(client.body) == 3)
            client.leave(how)
        assert server.result() == how
    assert notes(client)[-1] == ("left", how)
    assert whats(client).count("left") == 1
    assert "broke" not in whats(client)


@ways
async def test_leaving_before_the_head(loop: str, how: Leave) -> None:
    def talk(peer: Peer) -> str:
        peer.request()
        peer.send(b"HTTP/1.1 200 O")  # half a status line is no head
        peer.tell("the request is here")
        return peer.end()

    with serving(talk) as server:
        async with asking(server) as client:
            await server.told()
            client.leave(how)
        assert server.result() == how
    assert whats(client) == ["connected", "left"]
    assert client.status is None


@ways
async def test_leaving_before_the_connection_is_made_opens_none(loop: str, how: Leave) -> None:
    with listening() as server:
        client = Client("key")
        client.leave(how)
        with anyio.fail_after(GUARD):
            await client.run(server.url, BODY, {})
        assert notes(client) == [("left", how)]
        assert not server.visited()


@ways
async def test_leaving_while_the_connection_is_being_made(loop: str, how: Leave) -> None:
    """A listener whose backlog is full answers nothing at all."""
    with socket.socket() as full, anyio.fail_after(GUARD):
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [_connect(full.getsockname()) for _ in range(4)]
        client = Client("key")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.run, f"http://127.0.0.1:{full.getsockname()[1]}/", BODY, {})
            await anyio.wait_all_tasks_blocked()
            assert whats(client) == []
            client.leave(how)
        for sock in waiting:
            sock.close()
    assert notes(client) == [("left", how)]


def _connect(address: Any) -> socket.socket:
    sock = socket.socket()
    sock.setblocking(False)
    sock.connect_ex(address)
    return sock


@ways
async def test_leaving_after_the_end_changes_nothing(loop: str, how: Leave) -> None:
    with serving(lambda peer: (peer.request(), peer.send(HEAD + chunk(b"abc") + LAST), peer.end())) as server:
        client = await ask(server)
        client.leave(how)
        assert server.result()[-1] == "fin"
    assert whats(client) == ["connected", "head_received", "received", "ended"]


@ways
async def test_leaving_twice_is_leaving_once(loop: str, how: Leave) -> None:
    def talk(peer: Peer) -> str:
        peer.request()
        peer.send(HEAD)
        return peer.end()

    with serving(talk) as server:
        async with asking(server) as client:
            await client.notice.until(lambda: client.status is not None)
            client.leave(how)
            client.leave("reset" if how == "fin" else "fin")
        assert server.result() == how
    assert whats(client).count("left") == 1


@ways
async def test_leaving_with_bytes_unread_is_still_as_told(loop: str, how: Leave) -> None:
    """close() alone would answer unread bytes with RST."""

    def talk(peer: Peer) -> str:
        peer.request()
        peer.send(HEAD)
        peer.cue()
        peer.send(chunk(b"unread" * 100))
        peer.tell("it is sent")
        return peer.end()

    with serving(talk) as server:
        async with asking(server) as client:
            await client.notice.until(lambda: client.status is not None)
            client.pause()
            server.cue()
            await server.told()
            client.leave(how)
        assert server.result() == how


async def test_a_paused_client_reads_nothing_and_a_resumed_one_everything(loop: str) -> None:
    """The kernel's buffers fill up, and then the server can write no more: that is what a slow reader is."""

    def talk(peer: Peer) -> int:
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        peer.cue()
        taken = peer.stuff()
        peer.tell(taken)
        peer.send(b"the rest")
        return taken

    with serving(talk) as server:
        async with asking(server) as client:
            await client.notice.until(lambda: client.status is not None)
            client.pause()
            await anyio.wait_all_tasks_blocked()
            server.cue()
            assert await server.told() > 0
            assert len(client.body) <= 65_536, "at most a read that was under way"
            before = len(client.body)
            await anyio.wait_all_tasks_blocked()
            assert len(client.body) == before
            client.resume()
        assert bytes(client.body) == bytes(server.result()) + b"the rest"
    assert whats(client)[-1] == "ended"


async def test_a_client_that_was_paused_beforehand_still_takes_the_head(loop: str) -> None:
    with serving(answering(HEAD + chunk(b"abc") + LAST)) as server:
        client = Client("key")
        client.pause()
        with anyio.fail_after(GUARD):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.run, server.url, BODY, {})
                await client.notice.until(lambda: client.status is not None)
                await anyio.wait_all_tasks_blocked()
                client.resume()
    assert (client.status, bytes(client.body)) == (200, b"abc")
    assert whats(client)[-1] == "ended"


@ways
async def test_a_paused_client_can_leave(loop: str, how: Leave) -> None:
    with serving(lambda peer: (peer.request(), peer.send(HEAD), peer.end())) as server:
        async with asking(server) as client:
            await client.notice.until(lambda: client.status is not None)
            client.pause()
            await anyio.wait_all_tasks_blocked()
            client.leave(how)
        assert server.result()[-1] == how
    assert whats(client)[-1] == "left"


LENGTH = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "end", "says"),
    [
        (b"", "fin", "RemoteProtocolError: Server disconnected without sending a response."),
        (b"HTTP/1.1 200 O", "fin", "RemoteProtocolError: Server disconnected without sending a response."),
        (HEAD, "fin", "RemoteProtocolError: peer closed connection without sending complete message body"),
        (HEAD + chunk(b"abc"), "fin", "RemoteProtocolError: peer closed connection without sending complete message"),
        (HEAD + b"5\r\nab", "fin", "RemoteProtocolError: peer closed connection without sending complete message body"),
        (LENGTH + b"abc", "fin", "RemoteProtocolError: peer closed connection without sending complete message body"),
        (HEAD + b"no-size\r\n", "fin", "RemoteProtocolError: illegal chunk header"),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "fin", "RemoteProtocolError: illegal status line"),
        (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "fin", "RemoteProtocolError: illegal header line"),
    ],
    ids=["nothing", "half a line", "head", "a chunk", "half a chunk", "short", "malformed", "no HTTP", "bad header"],
)
async def test_a_response_that_breaks_off_broke(loop: str, data: bytes, end: Leave, says: str) -> None:
    """Never an end, never an exception: it is on record, with what came before it."""
    with serving(answering(data, end)) as server:
        client = await ask(server)
    what, note = notes(client)[-1]
    assert what == "broke"
    assert note.startswith(says)
    assert client.over
    assert (client.status is None) == (b"\r\n\r\n" not in data or b"200 OK" not in data or b"no colon" in data)


async def test_a_reset_in_the_middle_keeps_what_was_read(loop: str) -> None:
    def talk(peer: Peer) -> None:
        peer.request()
        peer.send(HEAD + chunk(b"abc"))
        peer.cue()
        peer.reset()

    with serving(talk) as server:
        async with asking(server) as client:
            await client.notice.until(lambda: len(client.body) == 3)
            server.cue()
    assert notes(client)[-1] == ("broke", "ReadError: ECONNRESET")
    assert (client.status, bytes(client.body)) == (200, b"abc")


async def test_a_refused_connection_broke(loop: str) -> None:
    with listening() as server:
        url = server.url
    client = Client("key")
    with anyio.fail_after(GUARD):
        await client.run(url, BODY, {})
    address = url.split("/")[2]
    assert notes(client) == [("broke", f"ConnectError: {address}: ECONNREFUSED")]


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 302 Found\r\nlocation: http://x:no-port/\r\ncontent-length: 1",
        b"HTTP/1.1 307 Temporary Redirect\r\nlocation: https://e\xcc\x81.\xe2\x92\x88com/\r\ncontent-length: 1",
        b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 1",
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 1",
        b"HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=no-such\r\ncontent-length: 1",
        b"HTTP/1.1 200 OK\r\nset-cookie: \xff=\xfe; expires=never\r\nx: \xe4\xf6\r\ncontent-length: 1",
        b"HTTP/1.1 599 \r\ncontent-length: 1",
        b"HTTP/1.1 200\r\ncontent-length: 1",
    ],
    ids=["broken location", "odd location", "redirect", "no gzip", "charset", "cookie", "odd status", "no reason"],
)
async def test_a_head_that_makes_no_sense_is_recorded_like_any_other(loop: str, head: bytes) -> None:
    """Whatever the target says: it is followed nowhere, decoded by nobody, and raises nothing."""
    with serving(answering(head + b"\r\n\r\n!")) as server:
        client = await ask(server)
    assert client.status == int(head.split()[1])
    assert bytes(client.body) == b"!"
    assert whats(client) == ["connected", "head_received", "received", "ended"]


async def test_proxies_of_the_environment_are_not_asked(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with serving(answering(LENGTH.replace(b"100", b"0"))) as server:
        client = await ask(server)
    assert whats(client)[-1] == "ended"


async def test_many_clients_on_one_loop_keep_their_records_apart(loop: str) -> None:
    def talk_of(n: int) -> Callable[[Peer], None]:
        return answering(HEAD + b"".join(chunk(b"%d" % n * 10) for _ in range(n)) + LAST)

    async def one(n: int) -> None:
        with serving(talk_of(n)) as server:
            clients[n] = await ask(server)

    clients: dict[int, Client] = {}
    async with anyio.create_task_group() as tasks:
        for n in range(1, 9):
            tasks.start_soon(one, n)
    for n, client in clients.items():
        assert bytes(client.body) == (b"%d" % n * 10) * n
        assert sum(event.what in OVER for event in client.events) == 1
        assert all(a.at <= b.at for a, b in pairwise(client.events))


@ways
async def test_leaving_with_the_last_byte_in_hand_is_one_end_not_two(loop: str, how: Leave) -> None:
    """The response may be closing just then: it has ended or the client has left, never both."""
    for _ in range(20):
        with serving(lambda peer: (peer.request(), peer.send(LENGTH + bytes(100)), peer.end())) as server:
            async with asking(server) as client:
                await client.notice.until(lambda: len(client.body) == 100)
                client.leave(how)
        assert sum(event.what in OVER for event in client.events) == 1


async def test_a_client_that_closes_its_sending_side_gets_the_rest(loop: str) -> None:
    def talk(peer: Peer) -> str:
        peer.request()
        peer.send(HEAD + chunk(b"abc"))
        how = peer.end()
        peer.send(chunk(b"defg") + LAST)
        return how

    with serving(talk) as server:
        async with asking(server) as client:
            await client.notice.until(lambda: bytes(client.body) == b"abc")
            client.half_close()
        assert server.result() == "fin"
    assert bytes(client.body) == b"abcdefg"
    assert [what for what in whats(client) if what != "received"] == [
        "connected",
        "head_received",
        "half_closed",
        "ended",
    ]


@pytest.mark.parametrize("connected", [False, True])
async def test_a_narrow_client_leaves_little_with_the_kernel(loop: str, connected: bool) -> None:
    """Whether it is told before it connects or after. Linux gives twice what is asked for (socket(7))."""
    with serving(lambda peer: (peer.request(), peer.send(HEAD), peer.end())) as server:
        client = Client("key")
        if not connected:
            client.narrow(8_192)
        with anyio.fail_after(GUARD):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.run, server.url, BODY, {})
                await client.notice.until(lambda: client.status is not None)
                if connected:
                    client.narrow(8_192)
                (stream,) = client._backend.streams
                assert stream.sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) <= 2 * 8_192
                client.leave("reset")

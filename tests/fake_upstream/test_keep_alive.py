"""HTTP/1.1 as clients and proxies use it: several requests a connection, old versions, HEAD, 100-continue."""

from __future__ import annotations

import json

import pytest
from rawclient import RawClient, converse, off, request, saw, served, whats

from fake_upstream.pacing import burst, lockstep
from fake_upstream.script import Chunk, Ending, Script


def _text(text: str, framing: str, **changes: object) -> Script:
    return Script((Chunk(size=len(text)),), payload="text", text=text).but(framing=framing, **changes)


async def test_several_requests_on_a_connection(loop: str) -> None:
    """Each gets its own script and request id, whatever the framing of the one before."""
    async with served() as up:
        up.runs.arm("one", _text("first", "content-length"))
        up.runs.arm("two", _text("second", "chunked"))
        with RawClient(up.url) as client:
            for n in range(10):
                client.send(request("one"))
                status, headers, body = await off(client.answer)
                assert (status, headers["x-request-id"], body) == (200, f"req_{2 * n + 1:08x}", b"first")
                client.send(request("two"))
                assert f"x-request-id: req_{2 * n + 2:08x}".encode() in await off(client.head)
                assert await off(client.read, 16) == b"6\r\nsecond\r\n0\r\n\r\n"
        asked = [event for event in up.journal.since() if event.what == "asked"]
        assert [event.request for event in asked] == list(range(1, 21))
        assert {event.connection for event in asked} == {1}


async def test_pipelined_requests_are_answered_in_order(loop: str) -> None:
    async with served() as up:
        for n in range(5):
            up.runs.arm(f"run {n}", _text(f"answer {n}", "content-length"))
        with RawClient(up.url) as client:
            client.send(b"".join(request(f"run {n}") for n in range(5)))
            assert [(await off(client.answer))[2] for _ in range(5)] == [b"answer %d" % n for n in range(5)]


async def test_a_pipelined_request_waits_for_the_response_before_it(loop: str) -> None:
    async with served() as up:
        first = up.runs.arm("one", Script(lockstep(2, 5), seed=1))
        up.runs.arm("two", _text("second", "content-length"))
        with RawClient(up.url) as client:
            client.send(request("one") + request("two"))
            await off(client.head)
            await off(client.read, 10)
            assert client.has_nothing()
            assert up.journal.of("two") == ()
            first.release()
            await off(client.read, 10)
            assert await off(client.read, 5) == b"0\r\n\r\n"
            assert (await off(client.answer))[2] == b"second"


async def test_http_1_0_gets_no_chunked_coding(loop: str) -> None:
    """A client of HTTP/1.0 cannot read it (RFC 9112, section 7.1): the body ends with the connection."""
    async with served() as up:
        up.runs.arm("hello", Script(burst(2, 3), payload="text", text="abcdef"))
        data, how = await off(converse, up.url, request(version="1.0"))
        head, _, body = data.partition(b"\r\n\r\n")
        assert (body, how) == (b"abcdef", "fin")
        assert b"transfer-encoding" not in head
        assert b"connection: close" in head


async def test_http_1_0_gets_a_content_length_if_the_script_has_one(loop: str) -> None:
    async with served() as up:
        up.runs.arm("hello", _text("abcdef", "content-length"))
        data, how = await off(converse, up.url, request(version="1.0"))
        assert (data.partition(b"\r\n\r\n")[2], how) == (b"abcdef", "fin")
        assert b"content-length: 6" in data


@pytest.mark.parametrize("framing", ["chunked", "content-length", "close-delimited", "http10"])
async def test_head(loop: str, framing: str) -> None:
    """HEAD gets the head that POST would get, and no byte of a body."""
    async with served() as up:
        up.runs.arm("hello", _text("abcdef", framing))
        with RawClient(up.url) as client:
            client.send(request(method="HEAD"))
            head = await off(client.head)
            keeps = framing in ("chunked", "content-length")
            assert {"chunked": b"chunked", "content-length": b"length: 6"}.get(framing, b"connection: close") in head
            if keeps:
                client.send(request(method="HEAD"))
                assert (await off(client.head)).startswith(b"HTTP/1.1 200 OK\r\n")
                client.half_close()
            assert await off(client.rest) == (b"", "fin")


@pytest.mark.parametrize("framing", ["chunked", "content-length"])
async def test_connection_close(loop: str, framing: str) -> None:
    """The whole response, then FIN, although the framing would allow for more."""
    async with served() as up:
        up.runs.arm("hello", _text("abcdef", framing))
        data, how = await off(converse, up.url, request(headers=("connection: close",)))
        body = b"6\r\nabcdef\r\n0\r\n\r\n" if framing == "chunked" else b"abcdef"
        assert (data.partition(b"\r\n\r\n")[2], how) == (body, "fin")


async def test_expect_100_continue(loop: str) -> None:
    """A client that waits for leave to send its body gets it, and the response after the body."""
    async with served() as up:
        up.runs.arm("hello", _text("abcdef", "content-length"))
        with RawClient(up.url) as client:
            head, _, body = request(headers=("expect: 100-continue",)).partition(b"\r\n\r\n")
            client.send(head + b"\r\n\r\n")
            assert (await off(client.head)).startswith(b"HTTP/1.1 100 ")
            assert client.has_nothing()
            client.send(body)
            assert (await off(client.answer))[2] == b"abcdef"
            client.send(request())  # and no other interim response in its way
            assert (await off(client.answer))[2] == b"abcdef"


async def test_a_request_in_pieces(loop: str) -> None:
    """The request is read whole however it is cut, with a chunked body too."""
    async with served() as up:
        up.runs.arm("hello", _text("abcdef", "content-length"))
        body = json.dumps({"input": "hello"}).encode()
        chunked = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
        whole = b"POST /v1/audio/speech HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n" + chunked
        with RawClient(up.url) as client:
            for byte in whole:
                client.send(bytes([byte]))
            assert (await off(client.answer))[2] == b"abcdef"
        assert up.journal.of("hello")[0].body == body.decode()


async def test_a_client_that_leaves_before_its_request_is_whole(loop: str) -> None:
    async with served() as up:
        with RawClient(up.url) as client:
            client.send(request()[:-1])
        await saw(up.journal, "closed", connection=1)
        assert whats(up.journal.since()) == ["accepted", "peer_fin", "closed"]


async def test_a_request_and_its_fin_in_one_go(loop: str) -> None:
    """The departure may arrive with the request: it is asked, and cut."""
    async with served() as up:
        for n in range(30):
            up.runs.arm(f"run {n}", Script(lockstep(2, 5)))
            with RawClient(up.url) as client:
                client.send(request(f"run {n}"))
                client.half_close()
                assert (await up.journal.saw(f"run {n}", "cut")).note == "fin"
                assert (await off(client.rest))[1] == "fin"


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\0\1\2\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"a" * 99_999,
    ],
    ids=["binary", "no target", "no colon", "too long"],
)
async def test_what_is_no_http_gets_a_400_and_a_fin(loop: str, nonsense: bytes) -> None:
    async with served() as up:
        data, how = await off(converse, up.url, nonsense)
        assert data[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 431")
        assert how == "fin"
        assert "crashed" not in whats(up.journal.since())


async def test_nonsense_behind_a_request_is_answered_after_its_response(loop: str) -> None:
    async with served() as up:
        up.runs.arm("hello", _text("abcdef", "content-length"))
        with RawClient(up.url) as client:
            client.send(request() + b"\0\1\2\r\n\r\n")
            assert (await off(client.answer))[2] == b"abcdef"
            assert (await off(client.answer))[0] == 400
            assert await off(client.rest) == (b"", "fin")


@pytest.mark.parametrize(
    "preface",
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade, http2-settings\r\n"
        b"upgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n\r\n",
    ],
    ids=["prior knowledge", "upgrade"],
)
async def test_http_2_is_turned_away(loop: str, preface: bytes) -> None:
    """It would bypass the wire: the connection is closed, and does not hang."""
    async with served() as up:
        with RawClient(up.url) as client:
            client.send(preface)
            assert (await off(client.rest))[1] == "fin"
        assert "crashed" not in whats(up.journal.since())


async def test_connect_makes_no_tunnel(loop: str) -> None:
    async with served() as up:
        with RawClient(up.url) as client:
            client.send(b"CONNECT upstream:1 HTTP/1.1\r\nhost: upstream:1\r\n\r\n")
            assert (await off(client.answer))[0] == 404
            client.send(request(method="GET", path="/nothing"))
            assert (await off(client.answer))[0] == 404
        await saw(up.journal, "closed", connection=1)
        assert "crashed" not in whats(up.journal.since())


async def test_a_scripted_connect_makes_no_tunnel_either(loop: str) -> None:
    """Success would be a tunnel to h11; the wire has sent it, and hypercorn goes on."""
    async with served() as up:
        up.runs.arm("hello", _text("abcdef", "content-length", ending=Ending()))
        with RawClient(up.url) as client:
            for _ in range(2):
                client.send(request(method="CONNECT", path="/v1/audio/speech"))
                assert (await off(client.answer))[2] == b"abcdef"
        await saw(up.journal, "closed", connection=1)
        assert "crashed" not in whats(up.journal.since())


async def test_a_websocket_is_refused_and_noted(loop: str) -> None:
    async with served() as up:
        upgrade = (
            b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
            b"sec-websocket-version: 13\r\nsec-websocket-key: bKdPyn3u98cTfZJSh4TNeQ==\r\n\r\n"
        )
        data, how = await off(converse, up.url, upgrade)
        assert (data[:12], how) == (b"HTTP/1.1 500", "fin")
        assert "no service for websocket" in (await saw(up.journal, "crashed")).note
        with RawClient(up.url) as client:  # and only that connection suffered
            client.send(request(method="GET", path="/nothing"))
            assert (await off(client.answer))[0] == 404

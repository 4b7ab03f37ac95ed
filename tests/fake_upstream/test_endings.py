"""Every ending as a plain blocking socket sees it: the exact bytes, then FIN, RST, silence or the next response."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from rawclient import SERVICE, RawClient, converse, off, request, served, whats

from fake_upstream.audio import body_of
from fake_upstream.frames import chunk_coded
from fake_upstream.pacing import lockstep
from fake_upstream.script import Chunk, Ending, EndingKind, Framing, Script, Step

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\n" + SERVICE
FINISHED: dict[str, bytes] = {
    "chunked": HEAD + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n5\r\ndefgh\r\n0\r\n\r\n",
    "content-length": HEAD + b"content-length: 8\r\n\r\nabcdefgh",
    "close-delimited": HEAD + b"connection: close\r\n\r\nabcdefgh",
    "http10": HEAD.replace(b"1.1", b"1.0") + b"connection: close\r\n\r\nabcdefgh",
}
TERMINATOR = b"0\r\n\r\n"
UNFINISHED = {framing: data.removesuffix(TERMINATOR) for framing, data in FINISHED.items()}
"""The same without the end marker. Content-Length still says what the chunks hold."""
framings = pytest.mark.parametrize("framing", get_args(Framing))


def eight(framing: str = "chunked", kind: str = "finish", *, gate: bool = False, **changes: Any) -> Script:
    """abc, defgh and an ending."""
    script = Script((Chunk(size=3), Chunk(size=5)), payload="text", text="abcdefgh")
    ending: Any = Ending(kind=kind, gate=gate)  # type: ignore[arg-type]
    return script.but(framing=framing, ending=ending, **changes)


@framings
async def test_finish(loop: str, framing: str) -> None:
    """All bytes are exact; who ends the connection is what the framing says."""
    async with served() as up:
        up.runs.arm("hello", eight(framing))
        with RawClient(up.url) as client:
            client.send(request())
            assert await off(client.read, len(FINISHED[framing])) == FINISHED[framing]
            if framing in ("chunked", "content-length"):
                await up.journal.saw("hello", "finished")
                assert client.has_nothing()  # open, and not a byte more
                client.half_close()
            assert await off(client.rest) == (b"", "fin")
        assert whats(up.journal.of("hello"))[:5] == ["asked", "head_sent", "emitted", "emitted", "finished"]


@framings
async def test_fin_comes_without_the_end_marker(loop: str, framing: str) -> None:
    async with served() as up:
        up.runs.arm("hello", eight(framing, "fin"))
        assert await off(converse, up.url, request()) == (UNFINISHED[framing], "fin")
        assert (await up.journal.saw("hello", "closed")).note == "fin"


@framings
async def test_reset_is_econnreset_and_not_eof(loop: str, framing: str) -> None:
    """The bytes before it arrive whole; then recv() raises ECONNRESET."""
    async with served() as up:
        run = up.runs.arm("hello", eight(framing, "reset", gate=True))
        with RawClient(up.url) as client:
            client.send(request())
            assert await off(client.read, len(UNFINISHED[framing])) == UNFINISHED[framing]
            run.release()
            with pytest.raises(ConnectionResetError):
                await off(client.recv)
        assert (await up.journal.saw("hello", "closed")).note == "reset"


async def test_reset_right_behind_the_bytes(loop: str) -> None:
    """Without a gate between them the last chunk is not lost on its way to a client that is quick or slow."""
    async with served() as up:
        for attempt in range(20):
            up.runs.arm(f"take {attempt}", eight(kind="reset"))
            data, how = await off(converse, up.url, request(f"take {attempt}"))
            assert (data.partition(b"\r\n\r\n")[2], how) == (b"3\r\nabc\r\n5\r\ndefgh\r\n", "reset")


async def test_malformed(loop: str) -> None:
    """The malformed frame arrives exactly as it was sent, and then EOF."""
    async with served() as up:
        up.runs.arm("hello", eight(kind="malformed"))
        expected = UNFINISHED["chunked"] + b"no-size\r\nnot a chunk\r\n"
        assert await off(converse, up.url, request()) == (expected, "fin")


@pytest.mark.parametrize(("missing", "promised"), [(0, 8 + 1024), (2, 10)])
async def test_short(loop: str, missing: int, promised: int) -> None:
    """Fewer bytes than Content-Length says, then EOF."""
    async with served() as up:
        up.runs.arm("hello", eight("content-length", "short", missing=missing))
        expected = FINISHED["content-length"].replace(b"length: 8", b"length: %d" % promised)
        assert await off(converse, up.url, request()) == (expected, "fin")


@framings
async def test_hang(loop: str, framing: str) -> None:
    """Nothing more comes, the connection stays open, and the upstream still sees the client leave."""
    async with served() as up:
        up.runs.arm("hello", eight(framing, "hang"))
        with RawClient(up.url) as client:
            client.send(request())
            assert await off(client.read, len(UNFINISHED[framing])) == UNFINISHED[framing]
            await up.journal.saw("hello", "finished")
            assert client.has_nothing()
        assert (await up.journal.saw("hello", "peer_fin", "peer_reset", "closed")).what == "peer_fin"
        await up.journal.saw("hello", "closed")


@framings
async def test_half_close(loop: str, framing: str) -> None:
    """EOF at the client, which can still send; the upstream hears its FIN."""
    async with served() as up:
        up.runs.arm("hello", eight(framing, "half_close"))
        with RawClient(up.url) as client:
            client.send(request())
            assert await off(client.rest) == (UNFINISHED[framing], "fin")
            for _ in range(3):  # had the upstream closed, the first would be answered by RST and the next would fail
                client.send(b"still here")
            assert "closed" not in whats(up.journal.of("hello"))
        assert (await up.journal.saw("hello", "peer_fin", "peer_reset", "closed")).what == "peer_fin"


@pytest.mark.parametrize("kind", ["fin", "reset", "half_close"])
async def test_silent(loop: str, kind: EndingKind) -> None:
    """Not one byte, only the ending."""
    async with served() as up:
        up.runs.arm("hello", Script(silent=True, ending=Ending(kind=kind)))
        assert await off(converse, up.url, request()) == (b"", "reset" if kind == "reset" else "fin")
        assert whats(up.journal.of("hello"))[:2] == ["asked", "finished"]


async def test_silent_and_hanging(loop: str) -> None:
    async with served() as up:
        up.runs.arm("hello", Script(silent=True, ending=Ending(kind="hang")))
        with RawClient(up.url) as client:
            client.send(request())
            await up.journal.saw("hello", "finished")
            assert client.has_nothing()
        assert (await up.journal.saw("hello", "peer_fin", "peer_reset", "closed")).what == "peer_fin"


@pytest.mark.parametrize("size", [1, 512, 8192, 16_384])
async def test_one_write_is_one_segment(loop: str, size: int) -> None:
    """What one recv() gives after each release is one frame, whole and alone."""
    script = Script(lockstep(6, size), head=Step(gate=True), ending=Ending(gate=True), seed=size)
    async with served() as up:
        run = up.runs.arm("hello", script)
        with RawClient(up.url) as client:
            client.send(request())
            await up.journal.saw("hello", "asked")
            run.release()
            head = HEAD + b"transfer-encoding: chunked\r\n\r\n"
            assert await off(client.read, len(head)) == head
            assert await off(client.recv) == chunk_coded(_slice(script, 0))
            for index in range(1, 6):
                assert client.has_nothing()
                run.release()
                assert await off(client.recv) == chunk_coded(_slice(script, index))
            run.release()
            assert await off(client.recv) == TERMINATOR


async def test_frames_of_64_kilobytes_come_one_a_release(loop: str) -> None:
    """Nothing of a frame comes before its gate opens, and all of it does after; it may take two segments."""
    size = 65_536
    script = Script(lockstep(4, size), seed=7)
    async with served() as up:
        run = up.runs.arm("hello", script)
        with RawClient(up.url) as client:
            client.send(request())
            await off(client.head)
            for index in range(4):
                if index:
                    assert client.has_nothing()
                    run.release()
                frame = chunk_coded(_slice(script, index))
                assert await off(client.read, len(frame)) == frame
            assert await off(client.recv) == TERMINATOR


def _slice(script: Script, index: int) -> bytes:
    start = script.ends[index] - script.chunks[index].size
    return body_of(script)(start, script.chunks[index].size)

"""Byte ranges: which part of a body is answered, in which words, and what is answered whole."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rawclient import RawClient, off, request, served, whats

from fake_upstream.audio import body_of
from fake_upstream.frames import frames_of
from fake_upstream.pacing import burst, lockstep
from fake_upstream.ranges import answer_range
from fake_upstream.script import Chunk, Ending, Framing, Script

TEN = Script(burst(5, 2), payload="text", text="0123456789", framing="content-length", ranges=True)


def _ranged(script: Script, value: str, method: str = "POST", *more: tuple[str, str]) -> tuple[Script, bytes]:
    part, body = answer_range(script, body_of(script), method, (("Range", value), *more))
    return part, b"".join(frame.data for frame in frames_of(part, body))


def _header(script: Script) -> str | None:
    return dict(script.headers).get("content-range")


PARTS = {
    "bytes=0-0": ("0", "0-0"),
    "bytes=3-6": ("3456", "3-6"),
    "bytes=8-": ("89", "8-9"),
    "bytes=8-99": ("89", "8-9"),
    "bytes=0-": ("0123456789", "0-9"),
    "bytes=-3": ("789", "7-9"),
    "bytes=-99": ("0123456789", "0-9"),
    "BYTES= 4-5 ": ("45", "4-5"),
}


@pytest.mark.parametrize("asked", PARTS)
async def test_a_part(loop: str, asked: str) -> None:
    """206, the exact bytes, Content-Range, and the connection goes on."""
    text, where = PARTS[asked]
    async with served() as up:
        up.runs.arm("hello", TEN)
        with RawClient(up.url) as client:
            for _ in range(2):
                client.send(request(headers=(f"range: {asked}",)))
                status, headers, body = await off(client.answer)
                assert (status, body.decode(), headers["content-range"]) == (206, text, f"bytes {where}/10")
                assert headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=99-100", "bytes=-0"])
async def test_what_cannot_be_satisfied_is_416(loop: str, asked: str) -> None:
    async with served() as up:
        up.runs.arm("hello", TEN)
        with RawClient(up.url) as client:
            client.send(request(headers=(f"range: {asked}",)))
            status, headers, body = await off(client.answer)
            assert (status, body, headers["content-range"]) == (416, b"", "bytes */10")
            client.send(request())
            assert (await off(client.answer))[0] == 200


@pytest.mark.parametrize(
    "asked",
    ["bytes=1-2,4-5", "items=1-2", "bytes=", "bytes=-", "bytes=5-4", "bytes=a-b", "bytes 1-2", "bytes=1-" + "9" * 5000],
)
def test_what_is_no_single_byte_range_is_answered_whole(asked: str) -> None:
    part, data = _ranged(TEN, asked)
    assert (part.status, data[-10:], _header(part)) == (200, b"0123456789", None)


async def test_a_script_that_does_not_opt_in_knows_no_ranges(loop: str) -> None:
    async with served() as up:
        up.runs.arm("hello", TEN.but(ranges=False))
        with RawClient(up.url) as client:
            client.send(request(headers=("range: bytes=1-2",)))
            status, headers, body = await off(client.answer)
            assert (status, body, "accept-ranges" in headers) == (200, b"0123456789", False)


def test_head_an_error_and_two_range_headers_are_answered_whole() -> None:
    assert _ranged(TEN, "bytes=1-2", "HEAD")[0].status == 200
    assert _ranged(TEN.but(status=404), "bytes=1-2")[0].status == 404
    assert _ranged(TEN, "bytes=1-2", "POST", ("range", "bytes=3-4"))[0].status == 200


@pytest.mark.parametrize(
    ("validator", "asked", "status"),
    [
        (("etag", '"one"'), '"one"', 206),
        (("ETag", '"one"'), '"two"', 200),
        (("etag", 'W/"one"'), 'W/"one"', 200),
        (("x", '"one"'), '"one"', 200),
        (("last-modified", "Tue, 02 Jan 2024 03:04:05 GMT"), "Tue, 02 Jan 2024 03:04:05 GMT", 206),
    ],
)
def test_if_range(validator: tuple[str, str], asked: str, status: int) -> None:
    """The part only of what the client already has the rest of."""
    part, _ = _ranged(TEN.but(headers=(validator,)), "bytes=1-2", "GET", ("if-range", asked))
    assert part.status == status


async def test_chunks_outside_are_left_out_with_their_gates(loop: str) -> None:
    """The part begins at once though the gates of the chunks before it are shut; those within it hold."""
    async with served() as up:
        run = up.runs.arm("hello", TEN.but(chunks=lockstep(5, 2)))
        with RawClient(up.url) as client:
            client.send(request(headers=("range: bytes=5-8",)))
            run.release()
            await off(client.head)
            assert await off(client.read, 1) == b"5"
            assert client.has_nothing()
            run.release(2)
            assert await off(client.read, 3) == b"678"
            await up.journal.saw("hello", "finished")
        assert whats(up.journal.of("hello")).count("emitted") == 3


@given(
    st.lists(st.integers(1, 50), max_size=5),
    st.sampled_from(get_args(Framing)),
    st.booleans(),
    st.integers(0, 99),
    st.none() | st.integers(0, 99),
)
def test_any_part_of_any_body(sizes: list[int], framing: Framing, cut: bool, first: int, last: int | None) -> None:
    """Just those bytes that the whole has there; a Content-Length says how many the part would have."""
    script = Script(tuple(Chunk(size=size) for size in sizes), framing=framing, seed=5, ranges=True)
    if cut:
        kind = "short" if framing == "content-length" else "fin"
        script = script.but(ending=Ending(kind=kind), missing=7)  # type: ignore[arg-type]
    whole = script.promised if framing == "content-length" else script.total
    data = body_of(script)(0, script.total)
    part, body = answer_range(
        script, body_of(script), "GET", (("range", f"bytes={first}-{'' if last is None else last}"),)
    )
    sent = b"".join(body(end - chunk.size, chunk.size) for end, chunk in zip(part.ends, part.chunks, strict=True))
    if last is not None and last < first:
        assert (part.status, sent) == (200, data)
    elif first >= whole:
        assert (part.status, sent, _header(part)) == (416, b"", f"bytes */{whole}")
    else:
        stop = whole if last is None else min(last + 1, whole)
        assert (part.status, sent) == (206, data[first:stop])
        assert _header(part) == f"bytes {first}-{stop - 1}/{whole}"
        if framing == "content-length":
            assert part.promised == stop - first

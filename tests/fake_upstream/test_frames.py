"""Frames: the exact bytes of a response, and when each is to go out."""

from __future__ import annotations

import pytest

from fake_upstream.audio import body_of
from fake_upstream.frames import Frame, chunk_coded, frames_of, framing_for
from fake_upstream.script import Chunk, Ending, EndingKind, Framing, Script, Step


def _frames(script: Script, **options: object) -> list[Frame]:
    return list(frames_of(script, body_of(script), **options))  # type: ignore[arg-type]


def _script(framing: Framing = "chunked", kind: EndingKind = "finish", **changes: object) -> Script:
    script = Script((Chunk(size=11), Chunk(size=5)), payload="text", text="hello worldagain")
    return script.but(framing=framing, ending=Ending(kind=kind), **changes)


def test_each_frame_is_one_write_with_its_step() -> None:
    head, first, second = Step(after=1), Chunk(size=11, gate=True), Chunk(size=5, after=2)
    ending = Ending(after=3, gate=True)
    script = _script().but(head=head, chunks=(first, second), ending=ending)
    expected_head = b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    assert _frames(script) == [
        Frame("head", head, expected_head),
        Frame("chunk", first, b"b\r\nhello world\r\n", 0, 11),
        Frame("chunk", second, b"5\r\nagain\r\n", 1, 5),
        Frame("end", ending, b"0\r\n\r\n"),
    ]


@pytest.mark.parametrize(
    ("framing", "line", "status_line"),
    [
        ("chunked", b"transfer-encoding: chunked", b"HTTP/1.1 200 OK"),
        ("content-length", b"content-length: 16", b"HTTP/1.1 200 OK"),
        ("close-delimited", b"connection: close", b"HTTP/1.1 200 OK"),
        ("http10", b"connection: close", b"HTTP/1.0 200 OK"),
    ],
)
def test_framings(framing: Framing, line: bytes, status_line: bytes) -> None:
    frames = _frames(_script(framing))
    lines = frames[0].data.split(b"\r\n")
    assert (lines[0], lines[-3:]) == (status_line, [line, b"", b""])
    bodies = [frame.data for frame in frames if frame.what == "chunk"]
    plain = [b"hello world", b"again"]
    assert bodies == ([chunk_coded(data) for data in plain] if framing == "chunked" else plain)


ENDS = [
    ("chunked", "finish", b"0\r\n\r\n", "keep"),
    ("content-length", "finish", b"", "keep"),
    ("close-delimited", "finish", b"", "fin"),
    ("http10", "finish", b"", "fin"),
    ("chunked", "fin", b"", "fin"),
    ("content-length", "fin", b"", "fin"),
    ("content-length", "short", b"", "fin"),
    ("chunked", "malformed", b"no-size\r\nnot a chunk\r\n", "fin"),
    ("chunked", "reset", b"", "reset"),
    ("http10", "reset", b"", "reset"),
    ("chunked", "hang", b"", "hang"),
    ("content-length", "half_close", b"", "half_close"),
]


@pytest.mark.parametrize(("framing", "kind", "data", "close"), ENDS)
def test_ends(framing: Framing, kind: EndingKind, data: bytes, close: str) -> None:
    end = _frames(_script(framing, kind))[-1]
    assert (end.what, end.data, end.close, end.size) == ("end", data, close, 0)


def test_a_silent_script_is_its_end_alone() -> None:
    script = Script(silent=True, ending=Ending(kind="reset", after=1))
    assert _frames(script) == [Frame("end", script.ending, b"", close="reset")]


def test_a_head_request_gets_no_body_and_no_terminator() -> None:
    script = _script()
    assert _frames(script, head_only=True) == [_frames(script)[0], Frame("end", script.ending, b"")]


def test_http_1_0_is_spared_the_chunked_coding_only() -> None:
    assert framing_for(_script("chunked"), "1.0") == "close-delimited"
    assert framing_for(_script("content-length"), "1.0") == "content-length"
    assert framing_for(_script("chunked"), "1.1") == "chunked"
    frames = _frames(_script("chunked", "malformed"), http_version="1.0")
    assert b"transfer-encoding" not in frames[0].data
    assert (frames[1].data, frames[-1].data, frames[-1].close) == (b"hello world", b"", "fin")


@pytest.mark.parametrize(("status", "line"), [(200, b"200 OK"), (429, b"429 Too Many Requests"), (299, b"299 ")])
def test_the_status_line(status: int, line: bytes) -> None:
    """Also for a status without a phrase: the space stays (RFC 9112, section 4)."""
    assert _frames(_script(status=status))[0].data.startswith(b"HTTP/1.1 " + line + b"\r\n")


def test_headers_of_the_script_win_over_extra_ones() -> None:
    script = _script(headers=(("X-Request-Id", "mine"), ("x-caf\u00e9", "\u00e9")))
    head = _frames(script, extra_headers=(("x-request-id", "ours"), ("x-other", "1")))[0].data
    assert b"ours" not in head
    assert b"X-Request-Id: mine\r\n" in head
    assert b"x-other: 1\r\n" in head
    assert "x-caf\u00e9: \u00e9\r\n".encode("latin-1") in head


def test_frames_are_made_one_at_a_time() -> None:
    """A body of terabytes costs only what is sent."""
    script = Script((Chunk(size=10),) + (Chunk(size=2**40),) * 3)
    frames = frames_of(script, body_of(script))
    assert next(frames).what == "head"
    assert next(frames).size == 10

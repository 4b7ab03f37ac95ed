"""Content codings, undone piece by piece: what comes out does not depend on where the bytes were cut."""

from __future__ import annotations

import gzip
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_upstream.audio import content_of, prefix
from fake_upstream.pacing import burst
from fake_upstream.packed import FRAME, HELD, Coding, frame, gzip_member, zstd_frame
from fake_upstream.script import Script
from harness.codings import Undecodable, Unsupported, unpack, unpacker

CODINGS: tuple[Coding, ...] = ("gzip", "zstd")
contents = st.lists(st.binary(max_size=60), max_size=4)
cuts = st.lists(st.integers(0, 400), max_size=6)


def pieces(data: bytes, at: list[int]) -> list[bytes]:
    places = [0, *sorted(min(cut, len(data)) for cut in at), len(data)]
    return [data[a:b] for a, b in pairwise(places)]


@pytest.mark.parametrize("coding", CODINGS)
@given(contents=contents, at=cuts)
def test_frames_hold_what_was_put_in_however_they_are_cut(coding: Coding, contents: list[bytes], at: list[int]) -> None:
    data = b"".join(frame(coding, content) for content in contents)
    reader = unpacker(coding)
    assert b"".join(reader.feed(piece) for piece in pieces(data, at)) == b"".join(contents) == unpack(coding, data)


@pytest.mark.parametrize("coding", CODINGS)
def test_a_frame_is_told_with_the_byte_that_ends_it(coding: Coding) -> None:
    """Progress is measured by it: a frame that is all here must not wait for the next."""
    one = frame(coding, b"audio")
    reader = unpacker(coding)
    reader.feed(one[:-9])
    assert len(reader.feed(one[-9:])) + len(unpack(coding, one[:-9])) == 5


@given(st.binary(max_size=9_000), st.integers(0, 9))
def test_real_gzip_is_read_as_it_is_flushed(content: bytes, level: int) -> None:
    packer = zlib.compressobj(level, wbits=31)
    flushed = packer.compress(content) + packer.flush(zlib.Z_SYNC_FLUSH)
    assert unpack("gzip", flushed) == content
    assert unpack("gzip", flushed + packer.flush()) == content
    assert unpack("x-gzip", gzip.compress(content)) == content


def test_python_reads_our_members() -> None:
    assert gzip.decompress(gzip_member(b"one, ") + gzip_member(b"two")) == b"one, two"


def test_a_zstd_frame_byte_by_byte() -> None:
    """RFC 8878, section 3.1.1: magic, descriptor (four bytes of size, one segment), size, last raw block, content."""
    assert zstd_frame(b"abc").hex(" ") == "28 b5 2f fd a0 03 00 00 00 19 00 00 61 62 63"


@pytest.mark.parametrize(
    ("header", "tail"),
    [
        (b"\x20\x03", b""),  # one byte of size
        (b"\x60\x03\x00", b""),  # two
        (b"\xe0\x03" + bytes(7), b""),  # eight
        (b"\x00\x58", b""),  # a window instead of a size
        (b"\x24\x03", b"sum!"),  # a checksum
    ],
)
def test_zstd_of_other_writers_is_read_if_it_is_not_compressed(header: bytes, tail: bytes) -> None:
    data = b"\x28\xb5\x2f\xfd" + header + b"\x10\x00\x00" + b"ab" + b"\x09\x00\x00" + b"c" + tail
    assert unpack("zstd", data * 2) == b"abcabc"


def test_compressed_zstd_is_nobodys_fault() -> None:
    with pytest.raises(Unsupported, match="compressed block"):
        unpack("zstd", b"\x28\xb5\x2f\xfd\x20\x09" + b"\x4d\x00\x00")
    with pytest.raises(Unsupported, match="dictionary"):
        unpack("zstd", b"\x28\xb5\x2f\xfd\x21\x07\x09")


@pytest.mark.parametrize("coding", CODINGS)
def test_what_is_not_in_the_coding_is_said_so(coding: Coding) -> None:
    with pytest.raises(Undecodable, match=f"this is no {coding}"):
        unpack(coding, b"audio, as it is")
    with pytest.raises(Undecodable):
        unpack(coding, frame(coding, b"audio") + b"and more of it")


@pytest.mark.parametrize("name", ["", "identity", " Identity "])
def test_no_coding_leaves_bytes_as_they_are(name: str) -> None:
    assert unpack(name, b"\x1f\x8b") == b"\x1f\x8b"


@pytest.mark.parametrize("name", ["br", "gzip, br", "magic"])
def test_a_coding_that_is_not_read_here(name: str) -> None:
    with pytest.raises(Unsupported, match=name):
        unpacker(name)


@pytest.mark.parametrize("coding", CODINGS)
def test_a_packed_script_holds_whole_frames(coding: Coding) -> None:
    script = Script(burst(3, FRAME), payload=coding, seed=4)
    body = prefix(script, script.total)
    assert len(body) == 3 * FRAME
    assert unpack(coding, body) == content_of(script)
    assert len(content_of(script)) == 3 * HELD[coding]
    assert unpack(coding, body[: FRAME + 9]) == content_of(script)[: HELD[coding]], "chunk 0 can be read at once"


def test_the_content_of_an_unpacked_script_is_its_body() -> None:
    script = Script(burst(2, 30), seed=4)
    assert content_of(script) == prefix(script, 60)

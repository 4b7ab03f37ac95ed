"""How containers look in bytes: where the header ends, where Ogg pages end. Pure.

Sources: RFC 9639 (FLAC), sections 6 and 8; RFC 3533 (Ogg), section 6; RFC 7845 (Opus in Ogg), section 3; ID3v2.4,
section 3.1; the RIFF/WAVE chunks as Python's `wave` reads them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

MAGIC = 4
"""Bytes by which a container is known."""


@dataclass(frozen=True, slots=True)
class Page:
    """An Ogg page that is there in full: the offset at which it ends, and how many packets end in it."""

    end: int
    packets: int


def header_size(data: bytes) -> int | None:
    """How many bytes stand before the first audio; None while too little has come to tell (it may be told early).

    RIFF, FLAC, Opus in Ogg and a leading ID3 tag are known by their first bytes; anything else (bare MP3 or ADTS
    frames, PCM) has no header: 0.
    """
    if len(data) < MAGIC:
        return None
    match data[:MAGIC]:
        case b"RIFF":
            return _riff(data)
        case b"fLaC":
            return _flac(data)
        case b"OggS":
            return _opus(data)
        case magic if magic.startswith(b"ID3"):
            return _id3(data)
    return 0


def ogg_pages(data: bytes) -> Iterator[Page]:
    """The whole pages at the start of `data`; stops at the first that is cut or is none."""
    start = 0
    while data[start : start + 4] == b"OggS" and len(data) >= start + 27:
        lacing = data[start + 27 : start + 27 + data[start + 26]]
        end = start + 27 + data[start + 26] + sum(lacing)
        if len(data) < end:
            return
        yield Page(end, sum(size < 255 for size in lacing))
        start = end


def _riff(data: bytes) -> int | None:
    start = 12
    while len(data) >= start + 8:
        if data[start : start + 4] == b"data":
            return start + 8
        size = int.from_bytes(data[start + 4 : start + 8], "little")
        start += 8 + size + size % 2
    return None


def _flac(data: bytes) -> int | None:
    start = MAGIC
    while len(data) >= start + 4:
        last, size = data[start] & 0x80, int.from_bytes(data[start + 1 : start + 4], "big")
        start += 4 + size
        if last:
            return start
    return None


def _opus(data: bytes) -> int | None:
    """Two packets, OpusHead and OpusTags; audio begins on a page of its own."""
    packets = 0
    for page in ogg_pages(data):
        packets += page.packets
        if packets >= 2:
            return page.end
    return None


def _id3(data: bytes) -> int | None:
    """Ten bytes, then the size in four times seven bits, then perhaps ten bytes more."""
    if len(data) < 10:
        return None
    size = 0
    for byte in data[6:10]:
        size = size << 7 | byte & 0x7F
    return 10 + size + (10 if data[5] & 0x10 else 0)

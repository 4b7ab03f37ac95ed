"""Content codings (RFC 9110, section 8.4), undone as the bytes come. Pure.

gzip, and of zstd the frames whose blocks are not compressed, which are those that our upstream sends: Python has no
zstd everywhere. What cannot be read is said so, and is nobody's fault.
"""

from __future__ import annotations

import zlib
from typing import Protocol

from fake_upstream.packed import ZSTD_MAGIC

GZIP = 31
"""What zlib calls the gzip format."""


class Undecodable(ValueError):
    """The bytes are not in the coding that they are said to be in."""


class Unsupported(ValueError):
    """A coding, or a form of one, that is not read here."""


class Unpacker(Protocol):
    """The bytes of a coded body → its content, however they are cut."""

    def feed(self, data: bytes) -> bytes:
        """The content that these bytes complete. Raises Undecodable, Unsupported."""
        ...


class _Plain:
    def feed(self, data: bytes) -> bytes:
        return data


class _Gzip:
    """Members, one behind the other."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(GZIP)

    def feed(self, data: bytes) -> bytes:
        content = b""
        try:
            while data:
                content += self._member.decompress(data)
                data = self._member.unused_data
                if self._member.eof:
                    self._member = zlib.decompressobj(GZIP)
        except zlib.error as error:
            raise Undecodable(f"this is no gzip: {error}") from None
        return content


class _Zstd:
    """Frames of raw blocks (RFC 8878, section 3.1.1), one behind the other, without a dictionary."""

    SIZE_BYTES = (0, 2, 4, 8)

    def __init__(self) -> None:
        self._data = b""
        self._last = True
        self._checksum = 0

    def feed(self, data: bytes) -> bytes:
        self._data += data
        content = b""
        while (block := self._block()) is not None:
            content += block
        return content

    def _block(self) -> bytes | None:
        """The next whole block; None if it is not all here."""
        begin = self._frame_header() if self._last else 0
        if begin is None or len(self._data) < begin + 3:
            return None
        header = int.from_bytes(self._data[begin : begin + 3], "little")
        if header >> 1 & 3:
            raise Unsupported("a compressed block of zstd")
        end = begin + 3 + (header >> 3)
        after = end + (self._checksum if header & 1 else 0)
        if len(self._data) < after:
            return None
        block, self._data, self._last = self._data[begin + 3 : end], self._data[after:], bool(header & 1)
        return block

    def _frame_header(self) -> int | None:
        """How many bytes the frame header has."""
        if self._data[:4] != ZSTD_MAGIC[: len(self._data)]:
            raise Undecodable(f"this is no zstd: {self._data[:4]!r}")
        if len(self._data) < 5:
            return None
        descriptor = self._data[4]
        single = descriptor >> 5 & 1
        if descriptor & 3:
            raise Unsupported("a dictionary of zstd")
        self._checksum = 4 * (descriptor >> 2 & 1)
        size = self.SIZE_BYTES[descriptor >> 6] or single
        return 5 + size + (not single)


def unpacker(coding: str) -> Unpacker:
    """For the value of a Content-Encoding; "" is none. Raises Unsupported."""
    name = coding.strip().lower()
    if name in ("", "identity"):
        return _Plain()
    if name in ("gzip", "x-gzip"):
        return _Gzip()
    if name == "zstd":
        return _Zstd()
    raise Unsupported(f"the content coding {coding!r}")


def unpack(coding: str, data: bytes) -> bytes:
    """The content of a whole body, or of what there is of it. Raises Undecodable, Unsupported."""
    return unpacker(coding).feed(data)

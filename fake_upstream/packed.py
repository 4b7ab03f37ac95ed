"""Frames of a content coding, one behind the other: gzip members (RFC 1952) and zstd frames (RFC 8878). Pure.

The content lies in them as it is, in stored blocks: so every library that packs has no say in the bytes, a frame has
always the same size, and what is in a body can be said by position. Noise would not become smaller anyway.
"""

from __future__ import annotations

import struct
from typing import Literal
from zlib import crc32

Coding = Literal["gzip", "zstd"]
FRAME = 512
"""Bytes of one frame: a chunk of this size, or of so many times it, holds whole frames."""
HELD = {"gzip": FRAME - 23, "zstd": FRAME - 12}
"""Bytes of content in one frame."""
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


def frame(coding: Coding, content: bytes) -> bytes:
    """This content as one frame."""
    return gzip_member(content) if coding == "gzip" else zstd_frame(content)


def gzip_member(content: bytes) -> bytes:
    """A member of one stored block (RFC 1951, section 3.2.4), of up to 65,535 bytes."""
    head = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
    block = struct.pack("<BHH", 1, len(content), len(content) ^ 0xFFFF)
    return head + block + content + struct.pack("<II", crc32(content), len(content))


def zstd_frame(content: bytes) -> bytes:
    """A frame of one raw block, of up to 128 KB. It says its size and has no checksum."""
    head = ZSTD_MAGIC + struct.pack("<BI", 0xA0, len(content))
    return head + (len(content) << 3 | 1).to_bytes(3, "little") + content

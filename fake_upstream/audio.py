"""Body bytes: seeded noise, plain or packed, WAV, PCM, a text or encoded speech; the same each time for a script.

Pure, and blocking where speech must first be encoded: then call it in a thread. A body is read by position, so that
a script on offer of hundreds of megabytes costs only what is sent.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from random import Random

from fake_upstream.encoded import encode
from fake_upstream.packed import FRAME, HELD, Coding, frame
from fake_upstream.pcm import WAV_HEADER, tones, wav
from fake_upstream.script import WRITTEN, Script, ScriptError

BLOCK = 65_536
Body = Callable[[int, int], bytes]
"""body(start, size): `size` bytes from `start` on (fewer at the end)."""


def body_of(script: Script) -> Body:
    """The bytes that a script's chunks carry. Raises what `encode` does, ScriptError for chunks past a speech's end."""
    if script.payload == "seeded":
        return lambda start, size: seeded(script.seed, start, size)
    if script.payload == "hostile":
        return lambda start, size: hostile(script.seed, start, size)
    if script.payload in ("gzip", "zstd"):
        coding = script.payload
        return lambda start, size: packed(coding, script.seed, start, size)
    if script.payload == "speech":
        assert script.speech is not None, "a script says so itself"
        whole = encode(script.speech).data
        if script.total > len(whole):
            raise ScriptError("chunks", script.total, f"the speech has {len(whole)} bytes: cover no more of it")
    elif script.payload in WRITTEN:
        whole = script.text.encode()
    elif script.payload == "pcm":
        whole = tones(script.seed, script.total)
    else:
        whole = wav(tones(script.seed, max(0, script.promised - WAV_HEADER)))[: script.total]
    return lambda start, size: whole[start : start + size]


def prefix(script: Script, size: int) -> bytes:
    """The first `size` bytes of a script's body: what a faithful proxy hands on."""
    return body_of(script)(0, min(size, script.total))


def seeded(seed: int, start: int, size: int) -> bytes:
    """`size` bytes of noise from position `start`; no block repeats, so lost, doubled and swapped bytes all show."""
    first, last = start // BLOCK, (start + size - 1) // BLOCK
    data = b"".join(_block(seed, index) for index in range(first, last + 1))
    return data[start - first * BLOCK :][:size]


def packed(coding: Coding, seed: int, start: int, size: int) -> bytes:
    """`size` bytes from position `start` of frames that hold seeded noise, each as much of it (packed.py)."""
    first, last, each = start // FRAME, (start + size - 1) // FRAME, HELD[coding]
    frames = b"".join(frame(coding, seeded(seed, index * each, each)) for index in range(first, last + 1))
    return frames[start - first * FRAME :][:size]


def content_of(script: Script) -> bytes:
    """What a script's body holds once its content coding is undone: whole frames only."""
    if script.payload in ("gzip", "zstd"):
        return seeded(script.seed, 0, script.total // FRAME * HELD[script.payload])
    return prefix(script, script.total)


HOSTILE = (
    b"\0", b"\xff", b"\r\n", b"\n", b"\r", b"\r\n0\r\n\r\n", b"0\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"\x1a",
    b"\x1f\x8b", b"data: [DONE]\n\n", b"\xef\xbb\xbf", b"\xc3", b"\xed\xa0\x80", b"--boundary--", b"%00", b"</body>",
)  # fmt: skip
"""What text, HTTP, gzip, SSE and UTF-8 code might take for its own."""


def hostile(seed: int, start: int, size: int) -> bytes:
    """`size` bytes from position `start` of such things, in an order that the seed gives; it repeats."""
    whole = _hostile(seed)
    first = start % len(whole)
    return (whole[first:] + whole * (size // len(whole) + 1))[:size]


@lru_cache(maxsize=16)
def _hostile(seed: int) -> bytes:
    random = Random(seed)
    return b"".join(random.choice(HOSTILE) + random.randbytes(random.randrange(4)) for _ in range(3_000))


@lru_cache(maxsize=64)
def _block(seed: int, index: int) -> bytes:
    return Random(f"{seed}/{index}").randbytes(BLOCK)

"""Body bytes: seeded noise, WAV, PCM or a text, the same each time for the same script. Pure.

PCM is the API's: 24 kHz, 16-bit little-endian, mono. A body is read by position, so that a script on offer of
hundreds of megabytes costs only what is sent.
"""

from __future__ import annotations

import io
import wave
from array import array
from collections.abc import Callable, Iterable
from functools import lru_cache
from math import pi, sin
from random import Random
from sys import byteorder
from zlib import crc32

from fake_upstream.script import Script

SAMPLE_RATE = 24_000
SECONDS_PER_CHARACTER = 1 / 15
"""Speech runs at about 15 characters a second."""
WAV_HEADER = 44
BLOCK = 65_536
NOTE = SAMPLE_RATE // 20
LOWEST = 5
"""The lowest note, in cycles a twentieth of a second: 100 Hz."""
VOICES = (
    *("alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin"),
    *("nova", "onyx", "sage", "shimmer", "verse"),
)
"""Voices by name (OpenAI API reference, "Create speech"); each has a lowest note of its own, 20 Hz apart."""

Body = Callable[[int, int], bytes]
"""body(start, size): `size` bytes from `start` on (fewer at the end)."""


def body_of(script: Script) -> Body:
    """The bytes that a script's chunks carry."""
    if script.payload == "seeded":
        return lambda start, size: seeded(script.seed, start, size)
    if script.payload == "hostile":
        return lambda start, size: hostile(script.seed, start, size)
    if script.payload == "text":
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


@lru_cache(maxsize=64)
def _note(cycles: int) -> bytes:
    """A twentieth of a second of one tone; starts and ends at zero, so notes join without a click."""
    samples = array("h", (round(9_000 * sin(2 * pi * cycles * i / NOTE)) for i in range(NOTE)))
    if byteorder == "big":
        samples.byteswap()
    return samples.tobytes()


def melody(pitches: Iterable[int], size: int, lowest: int = LOWEST) -> bytes:
    """`size` bytes of PCM, one note a pitch, starting again when the pitches run out."""
    notes = b"".join(_note(lowest + pitch % 24) for pitch in pitches)
    return (notes * (size // len(notes) + 1))[:size] if notes else bytes(size)


@lru_cache(maxsize=16)
def tones(seed: int, size: int) -> bytes:
    """`size` bytes of PCM from a seed."""
    random = Random(seed)
    return melody((random.randrange(24) for _ in range(40)), size)


def lowest_of(voice: str) -> int:
    """The lowest note of a voice, in cycles a twentieth of a second. Unknown voices lie above the known ones."""
    if voice in VOICES:
        return LOWEST + VOICES.index(voice)
    return LOWEST + len(VOICES) + crc32(voice.encode("utf-8", "surrogatepass")) % len(VOICES)


def speech(text: str, speed: float = 1.0, voice: str = VOICES[0]) -> bytes:
    """PCM that lasts as long as the text takes to say, a note for each 1.3 characters or so, pitched by the voice."""
    samples = round(SAMPLE_RATE * SECONDS_PER_CHARACTER * len(text) / speed)
    return melody((ord(c) for c in text), 2 * samples, lowest_of(voice))


def wav(pcm: bytes) -> bytes:
    """The PCM in a WAV file: a 44-byte header, then the samples."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE)
        out.writeframes(pcm)
    return file.getvalue()

"""Sound as PCM, 24 kHz, 16-bit little-endian, mono, as the API has it: notes that a text or a seed picks. Pure."""

from __future__ import annotations

import io
import wave
from array import array
from collections.abc import Iterable
from functools import lru_cache
from math import pi, sin
from random import Random
from sys import byteorder
from zlib import crc32

SAMPLE_RATE = 24_000
SECONDS_PER_CHARACTER = 1 / 15
"""Speech runs at about 15 characters a second."""
WAV_HEADER = 44
NOTE = SAMPLE_RATE // 20
LOWEST = 5
"""The lowest note, in cycles a twentieth of a second: 100 Hz."""
VOICES = (
    *("alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin"),
    *("nova", "onyx", "sage", "shimmer", "verse"),
)
"""Voices by name (OpenAI API reference, "Create speech"); each has a lowest note of its own, 20 Hz apart."""


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

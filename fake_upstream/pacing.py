"""Ready-made rhythms: functions that build the chunks of a script. Pure."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from fake_upstream.script import Chunk, Script, ScriptError, check_seconds, check_whole

PCM_BYTES_PER_SECOND = 48_000
"""24 kHz, 16-bit, mono: the rate of the API's `pcm` and `wav` formats."""


def burst(count: int, size: int) -> tuple[Chunk, ...]:
    """`count` chunks of `size` bytes, back to back."""
    return steady(count, size, 0.0)


def steady(count: int, size: int, every: float) -> tuple[Chunk, ...]:
    """A chunk every `every` seconds."""
    check_whole("count", count, 0)
    return (Chunk(size=size, after=every),) * count


def at_speech_rate(count: int, size: int, rate: int = PCM_BYTES_PER_SECOND, speed: float = 1.0) -> tuple[Chunk, ...]:
    """As fast as the audio plays: `rate` bytes a second, `speed` times real time."""
    return steady(count, size, size / rate / speed)


def jittered(count: int, size: int, every: float, spread: float, seed: int) -> tuple[Chunk, ...]:
    """A chunk every `every` seconds, give or take up to `spread` seconds, the same each time for one seed."""
    check_whole("count", count, 0)
    check_seconds("spread", spread)
    random = Random(seed)
    return tuple(Chunk(size=size, after=max(0.0, every + random.uniform(-spread, spread))) for _ in range(count))


def stalled(chunks: tuple[Chunk, ...], before: int, seconds: float) -> tuple[Chunk, ...]:
    """The same chunks with a silence of `seconds` more before chunk `before`."""
    check_seconds("seconds", seconds)
    if not 0 <= before < len(chunks):
        raise ScriptError("before", before, f"name one of the {len(chunks)} chunks, from 0")
    chunk = chunks[before]
    return (*chunks[:before], replace(chunk, after=chunk.after + seconds), *chunks[before + 1 :])


def lockstep(count: int, size: int) -> tuple[Chunk, ...]:
    """Chunk 0 at once, every further one behind a gate of its own."""
    return _gated(burst(count, size))


def gated(script: Script) -> Script:
    """The same script with a gate before every chunk but the first."""
    return script.but(chunks=_gated(script.chunks))


def _gated(chunks: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
    return tuple(replace(chunk, gate=index > 0) for index, chunk in enumerate(chunks))

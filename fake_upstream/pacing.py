"""Ready-made rhythms: functions that build the chunks of a script. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from fake_upstream.script import LONGEST, MOST_CHUNKS, Chunk, Script, ScriptError, check_seconds, check_whole

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


def recorded(sizes: Sequence[int], gaps: Sequence[float]) -> tuple[Chunk, ...]:
    """A recording played back: chunk k of `sizes[k]` bytes, `gaps[k]` seconds after what came before it."""
    if len(sizes) != len(gaps):
        raise ScriptError("gaps", len(gaps), f"give a gap in seconds for each of the {len(sizes)} sizes")
    return tuple(Chunk(size=size, after=gap) for size, gap in zip(sizes, gaps, strict=True))


def ramped_gaps(chunks: tuple[Chunk, ...], first: float, last: float) -> tuple[Chunk, ...]:
    """The same chunks, with gaps that go evenly from `first` seconds before chunk 0 to `last` before the last one."""
    check_seconds("first", first)
    check_seconds("last", last)
    gaps = max(1, len(chunks) - 1)
    return tuple(replace(chunk, after=(first * (gaps - k) + last * k) / gaps) for k, chunk in enumerate(chunks))


def ramped_sizes(chunks: tuple[Chunk, ...], first: int, last: int) -> tuple[Chunk, ...]:
    """The same rhythm, with sizes that go evenly from `first` bytes to `last`, each rounded down to whole bytes."""
    check_whole("first", first, 1)
    check_whole("last", last, 1)
    rise, gaps = last - first, max(1, len(chunks) - 1)
    return tuple(replace(chunk, size=first + rise * k // gaps) for k, chunk in enumerate(chunks))


def at_bandwidth(chunks: tuple[Chunk, ...], rate: float) -> tuple[Chunk, ...]:
    """The same chunks through a pipe that carries `rate` bytes a second.

    A chunk enters the pipe when it was due before, or when the one before it is through, and is written whole once
    the pipe has carried its last byte: slice it first if it is to come bit by bit. A gate that opens late holds
    only its own chunk, which then is written at once.
    """
    check_rate("rate", rate)
    out, due, free = [], 0.0, 0.0
    for chunk in chunks:
        due += chunk.after
        through = max(due, free) + (chunk.size / rate if chunk.size < rate * LONGEST else LONGEST)
        out.append(replace(chunk, after=min(through - free, LONGEST)))
        free = through
    return tuple(out)


def sliced(
    chunks: tuple[Chunk, ...], size: int, delay: float = 0.0, variation: int = 0, seed: int = 0
) -> tuple[Chunk, ...]:
    """Each chunk in pieces of at most `size` bytes, `delay` seconds apart.

    With a `variation` each piece is up to that many bytes smaller, the same each time for one seed. The first piece
    of a chunk keeps its time and its gate; a chunk that is small enough stays as it is.
    """
    check_whole("size", size, 1)
    check_seconds("delay", delay)
    check_whole("variation", variation, 0)
    if variation >= size:
        raise ScriptError("variation", variation, f"leave at least one of the {size} bytes of a piece")
    # At worst: every piece as small as it may be.
    if sum(-(-chunk.size // (size - variation)) for chunk in chunks) > MOST_CHUNKS:
        raise ScriptError("size", size, f"choose larger pieces: a script holds at most {MOST_CHUNKS} chunks")
    random = Random(seed)
    pieces: list[Chunk] = []
    for chunk in chunks:
        rest, step = chunk.size, chunk
        while rest:
            piece = min(rest, size - (random.randint(0, variation) if variation else 0))
            pieces.append(replace(step, size=piece))
            rest -= piece
            step = Chunk(size=piece, after=delay)
    return tuple(pieces)


def check_rate(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise ScriptError(name, value, "give bytes per second, a number above 0")


def lockstep(count: int, size: int) -> tuple[Chunk, ...]:
    """Chunk 0 at once, every further one behind a gate of its own."""
    return _gated(burst(count, size))


def gated(script: Script) -> Script:
    """The same script with a gate before every chunk but the first."""
    return script.but(chunks=_gated(script.chunks))


def _gated(chunks: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
    return tuple(replace(chunk, gate=index > 0) for index, chunk in enumerate(chunks))

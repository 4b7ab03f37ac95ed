"""Rhythms and faults: what each makes of a script."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rawclient import RawClient, off, request, served

from fake_upstream import faults, pacing
from fake_upstream.audio import body_of, prefix
from fake_upstream.frames import chunk_coded, frames_of
from fake_upstream.script import LONGEST, Chunk, Ending, EndingKind, Framing, Payload, Script, ScriptError, Step

PLAIN = Script(pacing.steady(5, 100, 0.5), head=Step(after=1.0, gate=True))


def test_burst() -> None:
    assert pacing.burst(3, 7) == (Chunk(size=7),) * 3
    assert pacing.burst(0, 7) == ()


def test_steady() -> None:
    assert pacing.steady(2, 7, 0.25) == (Chunk(size=7, after=0.25),) * 2


def test_at_speech_rate() -> None:
    """48,000 bytes are a second."""
    assert pacing.at_speech_rate(2, 4800) == (Chunk(size=4800, after=0.1),) * 2
    assert pacing.at_speech_rate(1, 4800, speed=2) == (Chunk(size=4800, after=0.05),)
    assert pacing.at_speech_rate(1, 4800, rate=4800) == (Chunk(size=4800, after=1.0),)


@given(st.floats(0, 2), st.floats(0, 2), st.integers(0, 99))
def test_jittered(every: float, spread: float, seed: int) -> None:
    """The same each time for one seed, within the spread and never below zero."""
    chunks = pacing.jittered(20, 7, every, spread, seed)
    assert chunks == pacing.jittered(20, 7, every, spread, seed)
    assert all(max(0, every - spread) <= chunk.after <= every + spread for chunk in chunks)
    assert Script(chunks).total == 140


def test_jitter_differs_by_seed() -> None:
    assert pacing.jittered(5, 7, 1, 0.5, 1) != pacing.jittered(5, 7, 1, 0.5, 2)
    assert len({chunk.after for chunk in pacing.jittered(20, 7, 1, 0.5, 1)}) > 1


def test_stalled() -> None:
    chunks = pacing.stalled(PLAIN.chunks, 2, 3.0)
    assert [chunk.after for chunk in chunks] == [0.5, 0.5, 3.5, 0.5, 0.5]


def test_recorded() -> None:
    chunks = pacing.recorded([512, 300], [0, 0.25])
    assert chunks == (Chunk(size=512), Chunk(size=300, after=0.25))
    assert pacing.recorded([], []) == ()


def test_ramped_gaps() -> None:
    """Evenly, exact at both ends, up or down; sizes and gates stay."""
    chunks = pacing.lockstep(3, 7)
    assert pacing.ramped_gaps(chunks, 0.1, 0.3) == tuple(
        Chunk(size=7, after=gap, gate=gate) for gap, gate in [(0.1, False), (0.2, True), (0.3, True)]
    )
    assert [chunk.after for chunk in pacing.ramped_gaps(chunks, 1, 0)] == [1, 0.5, 0]
    assert [chunk.after for chunk in pacing.ramped_gaps(chunks[:1], 2, 9)] == [2]
    assert pacing.ramped_gaps((), 1, 2) == ()


def test_ramped_sizes() -> None:
    chunks = PLAIN.chunks
    assert [chunk.size for chunk in pacing.ramped_sizes(chunks, 1, 10)] == [1, 3, 5, 7, 10]
    assert [chunk.size for chunk in pacing.ramped_sizes(chunks, 9, 1)] == [9, 7, 5, 3, 1]
    assert [chunk.after for chunk in pacing.ramped_sizes(chunks, 1, 10)] == [0.5] * 5
    assert pacing.ramped_sizes((), 1, 2) == ()


def test_at_bandwidth_by_example() -> None:
    """100 bytes a second: a burst is spread, a slow stream only comes later by what the last piece takes."""
    burst = pacing.at_bandwidth(pacing.burst(3, 50), 100)
    assert [chunk.after for chunk in burst] == [0.5, 0.5, 0.5]
    slow = pacing.at_bandwidth(pacing.steady(3, 50, 2), 100)
    assert [chunk.after for chunk in slow] == [2.5, 2.0, 2.0]
    mixed = pacing.at_bandwidth(pacing.recorded([50, 50, 50], [0, 0.25, 5]), 100)
    assert [chunk.after for chunk in mixed] == [0.5, 0.5, 4.75]


chunk_lists = st.lists(
    st.builds(Chunk, size=st.integers(1, 5000), after=st.floats(0, 10), gate=st.booleans()), max_size=8
).map(tuple)


@given(chunk_lists, st.integers(1, 10**6))
def test_no_stretch_of_a_body_exceeds_the_bandwidth(chunks: tuple[Chunk, ...], rate: int) -> None:
    """Between any two chunks no more bytes than the pipe carries in that time; none early; sizes and gates stay."""
    limited = pacing.at_bandwidth(chunks, rate)
    assert [(chunk.size, chunk.gate) for chunk in limited] == [(chunk.size, chunk.gate) for chunk in chunks]
    due = list(accumulate(chunk.after for chunk in limited))
    before = list(accumulate(chunk.after for chunk in chunks))
    for first in range(len(chunks)):
        assert due[first] >= before[first]
        for last in range(first + 1, len(chunks)):
            carried = sum(chunk.size for chunk in limited[first + 1 : last + 1])
            assert due[last] - due[first] >= carried / rate * (1 - 1e-9) - 1e-9


def test_a_chunk_beyond_measure_comes_late_and_not_never() -> None:
    assert Script(pacing.at_bandwidth((Chunk(size=10**400, after=LONGEST),) * 2, 1)).chunks[1].after == LONGEST


@given(chunk_lists, st.integers(1, 2000), st.floats(0, 2), st.integers(0, 1999), st.integers(0, 9))
def test_sliced(chunks: tuple[Chunk, ...], size: int, delay: float, variation: int, seed: int) -> None:
    """Every chunk in pieces that add up to it; the first has its time and gate, the others the delay and none."""
    variation = min(variation, size - 1)
    pieces = iter(pacing.sliced(chunks, size, delay, variation, seed))
    for chunk in chunks:
        piece = next(pieces)
        assert (piece.after, piece.gate) == (chunk.after, chunk.gate)
        total = piece.size
        while total < chunk.size:
            assert size - variation <= piece.size <= size
            piece = next(pieces)
            assert (piece.after, piece.gate) == (delay, False)
            total += piece.size
        assert piece.size <= size
        assert total == chunk.size
    assert next(pieces, None) is None


def test_slices_vary_by_seed_only_if_they_vary() -> None:
    def cut(variation: int, seed: int) -> list[int]:
        return [piece.size for piece in faults.slicer(PLAIN.but(seed=seed), 30, 0, variation).chunks]

    assert cut(0, 1) == cut(0, 2) == [30, 30, 30, 10] * 5
    assert cut(20, 1) == cut(20, 1) != cut(20, 2)


async def test_pieces_are_writes_of_their_own(loop: str) -> None:
    """Sliced and slowed on the wire: each piece is a chunk of the chunked coding, noted with its size and its time."""
    script = faults.bandwidth(faults.slicer(Script((Chunk(size=10), Chunk(size=4)), seed=1), 4, 0.001), 10**6)
    async with served() as up:
        up.runs.arm("hello", script)
        with RawClient(up.url) as client:
            client.send(request())
            await off(client.head)
            data = body_of(script)
            expected = b"".join(chunk_coded(data(at, size)) for at, size in [(0, 4), (4, 4), (8, 2), (10, 4)])
            assert await off(client.read, len(expected) + 5) == expected + b"0\r\n\r\n"
        events = [event for event in up.journal.of("hello") if event.what == "emitted"]
        assert [event.size for event in events] == [4, 4, 2, 4]
        planned = [event.planned or 0 for event in events]
        assert [b - a for a, b in pairwise(planned)] == [round(1e9 * c.after) for c in script.chunks[1:]]
        assert all(event.at >= due for event, due in zip(events, planned, strict=True))


def test_lockstep() -> None:
    assert [chunk.gate for chunk in pacing.lockstep(3, 7)] == [False, True, True]
    assert pacing.lockstep(1, 7) == (Chunk(size=7),)
    assert pacing.lockstep(0, 7) == ()


def test_gated() -> None:
    """Only gates change, and only those of chunks."""
    script = pacing.gated(PLAIN)
    assert [chunk.gate for chunk in script.chunks] == [False, True, True, True, True]
    assert [chunk.after for chunk in script.chunks] == [0.5] * 5
    assert (script.head, script.gates) == (PLAIN.head, 5)


@pytest.mark.parametrize(
    ("build", "name"),
    [
        (lambda: pacing.burst(-1, 7), "count"),
        (lambda: pacing.steady(1.5, 7, 1), "count"),
        (lambda: pacing.jittered(-1, 7, 1, 1, 0), "count"),
        (lambda: pacing.jittered(1, 7, 1, -1, 0), "spread"),
        (lambda: pacing.lockstep(-1, 7), "count"),
        (lambda: pacing.stalled(PLAIN.chunks, 5, 1), "before"),
        (lambda: pacing.stalled(PLAIN.chunks, -1, 1), "before"),
        (lambda: pacing.stalled(PLAIN.chunks, 0, -1), "seconds"),
        (lambda: pacing.recorded([1, 2], [0]), "gaps"),
        (lambda: Script(pacing.recorded([0], [0])), "chunks[0].size"),
        (lambda: pacing.ramped_gaps(PLAIN.chunks, -1, 1), "first"),
        (lambda: pacing.ramped_gaps(PLAIN.chunks, 1, float("nan")), "last"),
        (lambda: pacing.ramped_sizes(PLAIN.chunks, 0, 1), "first"),
        (lambda: pacing.ramped_sizes(PLAIN.chunks, 1, 1.5), "last"),
        (lambda: faults.bandwidth(PLAIN, 0), "rate"),
        (lambda: faults.bandwidth(PLAIN, float("inf")), "rate"),
        (lambda: faults.slicer(PLAIN, 0), "size"),
        (lambda: faults.slicer(PLAIN, 5, -1), "delay"),
        (lambda: faults.slicer(PLAIN, 5, 0, 5), "variation"),
        (lambda: pacing.sliced((Chunk(size=10**7),), 9), "size"),
        (lambda: faults.latency(PLAIN, -1), "seconds"),
        (lambda: faults.stall(PLAIN, 9, 1), "before"),
        (lambda: faults.limit_data(PLAIN, -1), "size"),
        (lambda: faults.malformed_response_chunk(PLAIN.but(framing="http10")), "ending.kind"),
        (lambda: faults.empty_response(PLAIN, "finish"), "ending.kind"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(build: object, name: str) -> None:
    with pytest.raises(ScriptError) as caught:
        build()  # type: ignore[operator]
    assert caught.value.field_name == name


def test_latency_adds_to_the_head() -> None:
    assert faults.latency(PLAIN, 2.0) == PLAIN.but(head=Step(after=3.0, gate=True))


def test_stall_adds_before_a_chunk() -> None:
    assert faults.stall(PLAIN, 1, 2.0) == PLAIN.but(chunks=pacing.stalled(PLAIN.chunks, 1, 2.0))


@pytest.mark.parametrize("gate", [False, True])
def test_endings(gate: bool) -> None:
    assert faults.reset_peer(PLAIN, gate) == PLAIN.but(ending=Ending(kind="reset", gate=gate))
    assert faults.cut(PLAIN, gate) == PLAIN.but(ending=Ending(kind="fin", gate=gate))
    long = PLAIN.but(framing="content-length")
    assert faults.cut(long, gate) == long.but(ending=Ending(kind="short", gate=gate))
    assert faults.malformed_response_chunk(PLAIN, gate) == PLAIN.but(ending=Ending(kind="malformed", gate=gate))
    assert faults.hang(PLAIN) == PLAIN.but(ending=Ending(kind="hang"))
    assert faults.half_close(PLAIN) == PLAIN.but(ending=Ending(kind="half_close"))


@pytest.mark.parametrize("ending", ["fin", "reset", "hang", "half_close"])
def test_empty_response_is_silent(ending: EndingKind) -> None:
    script = faults.empty_response(PLAIN.but(payload="text", text="x" * 500), ending)
    assert script.ending.kind == ending
    assert b"".join(frame.data for frame in frames_of(script, body_of(script))) == b""


def _head(script: Script) -> bytes:
    return next(frames_of(script, body_of(script))).data


@settings(deadline=None)
@given(
    st.sampled_from(get_args(Framing)),
    st.sampled_from(["seeded", "hostile", "wav", "pcm"]),
    st.lists(st.integers(1, 300), max_size=5),
    st.integers(0, 1000),
    st.sampled_from(["fin", "reset", "hang", "half_close", "finish"]),
)
def test_limit_data_sends_the_first_bytes_under_the_same_head(
    framing: Framing, payload: Payload, sizes: list[int], size: int, ending: EndingKind
) -> None:
    """A client is promised what it was promised before, and gets the first bytes of it; `finish` lies nowhere."""
    script = Script(tuple(Chunk(size=n, after=n) for n in sizes), framing=framing, payload=payload, seed=3)
    cut = faults.limit_data(script, size, ending)
    assert cut.total == min(size, script.total)
    assert [chunk.after for chunk in cut.chunks] == [chunk.after for chunk in script.chunks[: len(cut.chunks)]]
    if ending == "finish":
        assert cut.promised == cut.total
    else:
        assert _head(cut) == _head(script)
        assert prefix(cut, 10**6) == prefix(script, size)
    gone = script.total > size
    expected = "short" if ending == "fin" and framing == "content-length" and gone else ending
    assert cut.ending.kind == expected


def test_limit_data_keeps_the_gates() -> None:
    script = Script(pacing.lockstep(4, 10), ending=Ending(gate=True))
    cut = faults.limit_data(script, 25)
    assert [(chunk.size, chunk.gate) for chunk in cut.chunks] == [(10, False), (10, True), (5, True)]
    assert cut.ending == Ending(gate=True, kind="fin")


def test_limit_data_of_a_text_breaks_no_character() -> None:
    script = Script((Chunk(size=6),), payload="text", text="h\u00e9llo", framing="content-length")
    cut = faults.limit_data(script, 2)
    assert (cut.text, cut.total, cut.promised, cut.ending.kind) == ("h", 1, 6, "short")
    assert faults.limit_data(script, 0).total == 0

"""Rhythms and faults: what each makes of a script."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_upstream import faults, pacing
from fake_upstream.audio import body_of, prefix
from fake_upstream.frames import frames_of
from fake_upstream.script import Chunk, Ending, EndingKind, Framing, Payload, Script, ScriptError, Step

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

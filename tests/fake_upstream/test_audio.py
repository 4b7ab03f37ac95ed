"""Body bytes: the same each time, readable where they claim to be audio, and telling where they belong."""

from __future__ import annotations

import io
import wave

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fake_upstream import pcm as sound
from fake_upstream.audio import BLOCK, HOSTILE, body_of, hostile, prefix, seeded
from fake_upstream.pacing import burst
from fake_upstream.pcm import melody, speech, tones, wav
from fake_upstream.script import Chunk, Payload, Script

places = st.integers(0, 3 * BLOCK) | st.integers(BLOCK - 3, BLOCK + 3) | st.integers(2**33, 2**33 + 5)


@settings(deadline=None)
@given(st.integers(0, 3), places, st.integers(0, 2 * BLOCK), st.integers(0, 2 * BLOCK))
@example(0, BLOCK, 0, 0)
@example(0, BLOCK - 1, 1, 1)
def test_seeded_bytes_know_their_position(seed: int, start: int, first: int, second: int) -> None:
    """However a body is cut into chunks, it is the same body."""
    whole = seeded(seed, start, first + second)
    assert len(whole) == first + second
    assert seeded(seed, start, first) + seeded(seed, start + first, second) == whole


def test_seeded_bytes_do_not_repeat() -> None:
    """Lost, doubled and swapped pieces all show: no aligned 8 bytes occur twice, nor under another seed."""
    data = seeded(0, 0, 4 * BLOCK) + seeded(1, 0, 4 * BLOCK)
    words = {data[at : at + 8] for at in range(0, len(data), 8)}
    assert len(words) == len(data) // 8


def test_seeded_bytes_are_the_same_for_ever() -> None:
    """Recorded traces are compared with them: these bytes must never change."""
    assert seeded(0, 0, 8).hex() == "c227ba57abf53f7b"
    assert seeded(7, BLOCK, 4).hex() == "54aa190e"


@settings(deadline=None)
@given(st.integers(0, 3), st.integers(0, 10**6), st.integers(0, 10**5), st.integers(0, 10**5))
def test_hostile_bytes_know_their_position(seed: int, start: int, first: int, second: int) -> None:
    whole = hostile(seed, start, first + second)
    assert len(whole) == first + second
    assert hostile(seed, start, first) + hostile(seed, start + first, second) == whole


def test_hostile_bytes_hold_what_others_trip_over() -> None:
    """Each of them, soon; and another mixture for another seed."""
    data = hostile(1, 0, 4096)
    assert [piece for piece in HOSTILE if piece not in data] == []
    assert data != hostile(2, 0, 4096)
    with pytest.raises(UnicodeDecodeError):
        data.decode()


@pytest.mark.parametrize("payload", ["seeded", "hostile", "wav", "pcm", "gzip", "zstd"])
@pytest.mark.parametrize("size", [1, 43, 44, 45, 46, 1000, 9_999, 100_000])
def test_a_body_does_not_depend_on_its_chunks(payload: Payload, size: int) -> None:
    one = Script((Chunk(size=size),), payload=payload, seed=5)
    many = Script((*burst(size // 7, 7), *burst(1 if size % 7 else 0, size % 7 or 1)), payload=payload, seed=5)
    assert one.total == many.total == size
    whole = body_of(one)(0, size)
    assert len(whole) == size
    starts = [0, *many.ends]
    assert b"".join(body_of(many)(a, b - a) for a, b in zip(starts, many.ends, strict=False)) == whole
    assert prefix(many, size // 2) == whole[: size // 2]
    assert prefix(many, size * 2) == whole
    assert body_of(one.but(seed=6))(0, size) != whole or size <= 46


def test_a_text_is_its_own_body() -> None:
    script = Script((Chunk(size=2), Chunk(size=4)), payload="text", text="h\u00e9llo")
    assert body_of(script)(0, 2) + body_of(script)(2, 4) == "h\u00e9llo".encode()


def _open(data: bytes) -> wave.Wave_read:
    return wave.open(io.BytesIO(data), "rb")


@pytest.mark.parametrize("seconds", [0, 0.1, 2])
def test_wav_is_a_wav_file(seconds: float) -> None:
    pcm = tones(3, int(seconds * 48_000))
    with _open(wav(pcm)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 24_000)
        assert file.readframes(file.getnframes()) == pcm
    assert len(wav(pcm)) == len(pcm) + sound.WAV_HEADER


def test_a_wav_script_is_a_wav_file() -> None:
    with _open(prefix(Script(burst(10, 960), payload="wav"), 9600)) as file:
        assert file.getnframes() == (9600 - 44) // 2


def test_a_wav_script_that_is_cut_short_says_how_long_it_would_have_been() -> None:
    whole = Script(burst(10, 960), payload="wav", framing="content-length")
    cut = whole.but(chunks=burst(4, 960), missing=6 * 960, ending=whole.ending.__class__(kind="short"))
    assert prefix(cut, 10**6) == prefix(whole, 4 * 960)


def test_tones_are_deterministic_and_differ_by_seed() -> None:
    assert tones(1, 10_000) == tones(1, 10_000)
    assert tones(1, 10_000) != tones(2, 10_000)
    assert tones(1, 5_000) == tones(1, 10_000)[:5_000]


def test_tones_are_no_silence_and_do_not_clip() -> None:
    samples = memoryview(tones(1, 48_000)).cast("h")
    assert max(samples) > 8_000
    assert max(samples) < 10_000
    assert min(samples) < -8_000


@given(st.text(max_size=60), st.floats(0.25, 4.0))
@settings(deadline=None)
def test_speech_lasts_as_long_as_the_text_takes_to_say(text: str, speed: float) -> None:
    pcm = speech(text, speed)
    assert len(pcm) % 2 == 0
    assert len(pcm) / 48_000 == pytest.approx(len(text) / 15 / speed, abs=1 / 24_000)


def test_melody_of_nothing_is_silence() -> None:
    assert melody([], 6) == bytes(6)
    assert melody([1, 2], 0) == b""

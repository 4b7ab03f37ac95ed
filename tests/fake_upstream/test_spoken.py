"""Scripts that speak: real audio in chunks that play, in events that are whole, paced by its own clock."""

from __future__ import annotations

import json
import sys
from itertools import pairwise

import pytest

from fake_upstream import faults, sse
from fake_upstream.audio import body_of, prefix
from fake_upstream.decoded import decode
from fake_upstream.encoded import encode, header_size
from fake_upstream.pyav import CodecMissing
from fake_upstream.script import Chunk, Ending, Script, ScriptError
from fake_upstream.script_json import script_from_json, script_to_json
from fake_upstream.speech import CONTENT_TYPES, SpeechRequest
from fake_upstream.spoken import PIECE, plain_script, speech_script, sse_error, sse_script, usage_of
from fake_upstream.utterance import FORMATS, Speech

TEXT = "The quick brown fox jumps over the lazy dog."
PACE = {"abs": 1e-9}


def spoken(response_format: str, **options: object) -> Speech:
    return Speech(TEXT, response_format=response_format, **options)  # type: ignore[arg-type]


def events_of(script: Script) -> list[bytes]:
    body = prefix(script, script.total)
    return [body[a:b] for a, b in pairwise((0, *script.ends))]


# --- speech


@pytest.mark.parametrize("response_format", FORMATS)
def test_a_speech_is_its_encoding_cut_at_frames(response_format: str) -> None:
    encoded, script = encode(spoken(response_format)), speech_script(spoken(response_format))
    assert prefix(script, script.total) == encoded.data
    assert set(script.ends) <= set(encoded.cuts)
    assert script.content_type == CONTENT_TYPES[response_format]
    assert script.ends[0] > header_size(encoded)
    assert decode(prefix(script, script.total), response_format).seconds == encoded.seconds
    assert not script.gates
    assert {chunk.after for chunk in script.chunks} == {0}


@pytest.mark.parametrize("response_format", FORMATS)
@pytest.mark.parametrize("seconds", [0, 0.02, 0.1, 0.5, 100])
def test_a_chunk_is_due_when_the_audio_before_it_has_played(response_format: str, seconds: float) -> None:
    """All but the first have as much audio as was asked for, to the next frame's end."""
    encoded = encode(spoken(response_format))
    script = speech_script(spoken(response_format), chunk_seconds=seconds, paced=True)
    due, frame = 0.0, PIECE[response_format] / 24_000
    for chunk, start in zip(script.chunks, (0, *script.ends), strict=False):
        due += chunk.after
        assert due == pytest.approx(sum(cut <= start for cut in encoded.cuts) * frame, **PACE)
    assert due < encoded.seconds
    for chunk in script.chunks[1:]:
        assert seconds - 1e-9 <= chunk.after < max(seconds, 1e-9) + frame


def test_lockstep() -> None:
    script = speech_script(spoken("pcm"), gated=True)
    assert [chunk.gate for chunk in script.chunks] == [False] + [True] * (len(script.chunks) - 1)
    assert script.gates == len(script.chunks) - 1


@pytest.mark.parametrize("response_format", FORMATS)
def test_a_speech_survives_json_with_its_bytes(response_format: str) -> None:
    script = speech_script(Speech(TEXT, "nova", response_format, 1.5), gated=True, paced=True)
    again = script_from_json(json.loads(json.dumps(script_to_json(script))))
    assert again == script
    assert prefix(again, 10**9) == prefix(script, 10**9)
    assert len(json.dumps(script_to_json(script))) < 200 * len(script.chunks) + 300


def test_a_speech_can_be_cut_and_broken() -> None:
    script = faults.limit_data(speech_script(spoken("mp3")).but(framing="content-length"), 1000)
    assert (script.total, script.ending.kind) == (1000, "short")
    assert prefix(script, 10**9) == encode(spoken("mp3")).data[:1000]
    assert script.promised == len(encode(spoken("mp3")).data)


def test_chunks_past_the_end_of_a_speech_are_refused() -> None:
    script = Script((Chunk(size=10**6),), payload="speech", speech=spoken("pcm"))
    with pytest.raises(ScriptError, match=r"the speech has \d+ bytes: cover no more of it"):
        body_of(script)


# --- event streams


@pytest.mark.parametrize("response_format", FORMATS)
def test_each_chunk_is_one_whole_event(response_format: str) -> None:
    encoded, script = encode(spoken(response_format)), sse_script(spoken(response_format))
    decoder = sse.AudioDecoder()
    got = b""
    for number, event in enumerate(events_of(script), 1):
        got += decoder.feed(event)
        assert decoder.events == number
        assert len(got) in (*encoded.cuts, len(encoded.data))
    assert got == encoded.data
    assert decoder.usage == usage_of(spoken(response_format), encoded)
    assert script.content_type == "text/event-stream"
    plain = speech_script(spoken(response_format), paced=True)
    paced = sse_script(spoken(response_format), paced=True).chunks
    assert [chunk.after for chunk in paced] == [*(chunk.after for chunk in plain.chunks), 0]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 100])
def test_as_many_events_as_are_asked_for(count: int) -> None:
    data = bytes(range(100))
    script = sse_script(data, events=count, gated=True, usage=sse.Usage(1, 2, 3))
    assert len(script.chunks) == count + 1
    assert script.gates == count
    events = events_of(script)
    sizes = [len(sse.audio_of(event)) for event in events]
    assert max(sizes[:-1]) - min(sizes[:-1]) <= 1
    assert sizes[-1] == 0
    stream = b"".join(events)
    assert (sse.audio_of(stream), sse.usage_of(stream)) == (data, sse.Usage(1, 2, 3))
    assert len(sse_script(spoken("mp3"), events=min(count, 7)).chunks) == min(count, 7) + 1


@pytest.mark.parametrize(
    ("audio", "events"), [(b"", 1), (b"abc", 4), (b"abc", 0), (Speech("a", response_format="pcm"), 9)]
)
def test_more_events_than_pieces_are_refused(audio: bytes | Speech, events: int) -> None:
    with pytest.raises(ScriptError) as caught:
        sse_script(audio, events=events)
    assert caught.value.field_name == "events"


def test_an_event_stream_survives_json() -> None:
    script = sse_script(b"some audio", events=3, gated=True)
    assert script_from_json(json.loads(json.dumps(script_to_json(script)))) == script


def test_an_event_stream_can_be_cut_within_an_event() -> None:
    script = sse_script(b"some audio", events=5)
    cut = faults.limit_data(script, script.ends[2] + 10)
    assert [chunk.size for chunk in cut.chunks] == [*(chunk.size for chunk in script.chunks[:3]), 10]
    assert sse.audio_of(prefix(cut, 10**6)) == b"some a"


@pytest.mark.parametrize("before", [0, 2, 5])
def test_an_error_event_in_mid_stream(before: int) -> None:
    script = sse_script(b"some audio", events=5, gated=True).but(ending=Ending(kind="reset"))
    broken = sse_error(script, before, "No more.")
    assert (len(broken.chunks), broken.gates, broken.ending.kind) == (before + 1, before, "reset")
    decoder = sse.AudioDecoder()
    assert decoder.feed(prefix(broken, 10**6)) == b"some audio"[: 2 * before]
    assert decoder.error == {"message": "No more.", "type": "server_error", "param": None, "code": None}
    assert decoder.usage is None


@pytest.mark.parametrize(
    ("script", "before", "name"),
    [(Script(), 0, "payload"), (sse_script(b"ab", events=2), 3, "before"), (sse_script(b"ab", events=2), -1, "before")],
)
def test_error_events_that_cannot_be(script: Script, before: int, name: str) -> None:
    with pytest.raises(ScriptError) as caught:
        sse_error(script, before)
    assert caught.value.field_name == name


def test_usage_grows_with_text_and_time() -> None:
    def used(speech: Speech) -> sse.Usage:
        return usage_of(speech, encode(speech))

    assert used(Speech("x" * 60, response_format="pcm")) == sse.Usage(15, 84, 99)
    assert used(Speech("x" * 60, response_format="pcm", speed=2)) == sse.Usage(15, 42, 57)


# --- what nobody scripted


@pytest.mark.parametrize("response_format", FORMATS)
def test_the_plain_script_is_the_speech_at_its_own_pace(response_format: str) -> None:
    request = SpeechRequest("m", TEXT, "nova", response_format, 2.0)
    speech = Speech(TEXT, "nova", response_format, 2.0)
    assert plain_script(request) == speech_script(speech, paced=True)
    events = SpeechRequest("m", TEXT, "nova", response_format, 2.0, "sse")
    assert plain_script(events) == sse_script(speech, paced=True)


def test_text_that_utf8_cannot_say() -> None:
    assert plain_script(SpeechRequest("m", "\ud800", "alloy", "pcm")).total == 2 * 1600


def test_without_pyav_the_plain_script_waits_to_be_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    for stream_format in ("audio", "sse"):
        script = plain_script(SpeechRequest("m", f"without {stream_format}", "alloy", "mp3", 1.0, stream_format))
        with pytest.raises(CodecMissing):
            body_of(script)
        assert script.but(payload="seeded").total
    assert plain_script(SpeechRequest("m", "without", "alloy", "wav")).total > 44

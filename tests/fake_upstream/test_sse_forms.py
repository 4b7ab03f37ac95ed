"""Forms of an event stream: other bytes, the same events to whoever reads by the standard, the same times and gates."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from fake_upstream import faults
from fake_upstream.audio import prefix
from fake_upstream.pacing import burst
from fake_upstream.script import Script, ScriptError
from fake_upstream.script_json import script_from_json, script_to_json
from fake_upstream.spoken import sse_script
from fake_upstream.sse import EventDecoder, audio_of, is_done
from fake_upstream.sse_forms import gated_within, with_comments, with_line_ends, with_member, without_last_blank_line

AUDIO = bytes(range(256))
PLAIN = sse_script(AUDIO, events=3, gated=True)


def body(script: Script) -> bytes:
    return prefix(script, script.total)


def chunks(script: Script) -> list[bytes]:
    return [body(script)[a:b] for a, b in pairwise((0, *script.ends))]


@pytest.mark.parametrize(
    "script",
    [
        with_line_ends(PLAIN, "\r\n"),
        with_line_ends(PLAIN, "\r"),
        with_comments(PLAIN, "ping"),
        with_member(PLAIN, "note", "声"),
        gated_within(PLAIN, "delta"),
        gated_within(with_line_ends(PLAIN, "\r\n"), "\r\n"),
    ],
)
def test_a_listener_hears_the_same(script: Script) -> None:
    assert body(script) != body(PLAIN) or script.chunks != PLAIN.chunks
    assert audio_of(body(script)) == AUDIO
    assert is_done(body(script))
    assert script_from_json(script_to_json(script)) == script


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_said_and_chunks_are_whole_events(end: str) -> None:
    script = with_line_ends(PLAIN, end)
    assert [chunk.gate for chunk in script.chunks] == [chunk.gate for chunk in PLAIN.chunks]
    for chunk in chunks(script):
        assert chunk.endswith(end.encode() * 2)
        assert len(chunk.splitlines()) == 2
        assert len(EventDecoder().feed(chunk)) == 1


def test_a_comment_stands_before_each_event_but_the_first() -> None:
    first, *others = chunks(with_comments(PLAIN, "keep-alive"))
    assert first == chunks(PLAIN)[0]
    assert [chunk.partition(b"\n\n")[::2] for chunk in others] == [
        (b": keep-alive", event) for event in chunks(PLAIN)[1:]
    ]


def test_a_member_is_written_in_utf_8_as_it_is() -> None:
    for before, after in zip(chunks(PLAIN), chunks(with_member(PLAIN, "note", "声 🙂")), strict=True):
        assert "声 🙂".encode() in after
        (event,) = EventDecoder().feed(after)
        assert json.loads(event.data) == {"note": "声 🙂", **json.loads(before.removeprefix(b"data: "))}


def test_without_its_blank_line_the_last_event_is_none() -> None:
    script = without_last_blank_line(PLAIN)
    assert body(script) == body(PLAIN)[:-1]
    assert audio_of(body(script)) == AUDIO
    assert not is_done(body(script))
    assert is_done(body(script) + b"\n")


def test_the_one_gate_stands_inside_the_character() -> None:
    script = gated_within(with_member(PLAIN, "note", "声"), "声")
    (gate,) = [index for index, chunk in enumerate(script.chunks) if chunk.gate]
    assert {chunk.size for chunk in script.chunks} == {1}
    assert script.total == len(script.chunks)
    with pytest.raises(UnicodeDecodeError, match="unexpected end of data"):
        body(script)[:gate].decode()
    body(script)[: gate + 2].decode()


def test_there_must_be_such_a_place() -> None:
    for inside in ("声", ""):
        with pytest.raises(ScriptError, match="name something that the text holds"):
            gated_within(PLAIN, inside)


@pytest.mark.parametrize("script", [Script(burst(2, 9)), faults.empty_response(PLAIN)])
def test_only_event_streams_have_events(script: Script) -> None:
    with pytest.raises(ScriptError, match="only an event stream"):
        without_last_blank_line(script)

"""Event streams: what the standard says of every line, and that it does not matter how the bytes are cut."""

from __future__ import annotations

import json
from base64 import b64encode
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fake_upstream import sse
from fake_upstream.sse import AudioDecoder, Event, EventDecoder, Usage, audio_of, is_done, usage_of

USAGE = Usage(3, 4, 7)


def read(*pieces: bytes) -> list[Event]:
    decoder = EventDecoder()
    return [event for piece in pieces for event in decoder.feed(piece)]


# --- the lines (WHATWG HTML, "Server-sent events")

STREAMS: dict[bytes, list[Event]] = {
    b"": [],
    b"data: a\n\n": [Event("a")],
    b"data:a\n\n": [Event("a")],
    b"data:  a\n\n": [Event(" a")],  # one space goes, the next is text
    b"data\n\n": [Event("")],
    b"data\ndata\n\n": [Event("\n")],
    b"data: a\ndata: b\n\n": [Event("a\nb")],
    b"data: a\r\n\r\ndata: b\r\rdata: c\n\n": [Event("a"), Event("b"), Event("c")],
    b"data: a\n\r\ndata: b\r\n\n": [Event("a"), Event("b")],
    b"data: a\n\n\n\n\ndata: b\n\n": [Event("a"), Event("b")],
    b"\n\n\n": [],
    b": a comment\n\n:\ndata: a\n:data: b\n\n": [Event("a")],
    b"event: x\ndata: a\n\ndata: b\n\n": [Event("a", "x"), Event("b")],
    b"event: x\n\ndata: a\n\n": [Event("a")],  # no data, no event, and the type is forgotten
    b"event\ndata: a\n\n": [Event("a")],
    b"id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n": [Event("a", id="1"), Event("b", id="1"), Event("c")],
    b"id: 1\nid: 2\0\ndata: a\n\n": [Event("a", id="1")],
    b"id: 1\n\ndata: a\n\n": [Event("a", id="1")],
    b"data: a:b\n\n": [Event("a:b")],
    b"Data: a\nother: b\n data: c\n\n": [],  # names are exact
    b"\xef\xbb\xbfdata: a\n\n": [Event("a")],
    b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n": [Event("b")],  # one mark goes, two make a name
    b"data: a\n\n\xef\xbb\xbfdata: b\n\n": [Event("a")],
    "data: h\u00e9 \u20ac \U0001d11e\n\n".encode(): [Event("h\u00e9 \u20ac \U0001d11e")],
    b"data: \xff\xe2\x82\n\n": [Event("\ufffd\ufffd")],
    "data: a\u2028b\x0bc\x85d\x1ce\n\n".encode(): [Event("a\u2028b\x0bc\x85d\x1ce")],  # no line ends to this standard
    b"data: a": [],
    b"data: a\n": [],
    b"data: a\n\ndata: b": [Event("a")],
    b"data: a\n\ndata: b\n": [Event("a")],
}


@pytest.mark.parametrize("stream", STREAMS, ids=repr)
def test_streams(stream: bytes) -> None:
    assert read(stream) == STREAMS[stream]


@pytest.mark.parametrize("stream", STREAMS, ids=repr)
def test_streams_byte_by_byte(stream: bytes) -> None:
    assert read(*(stream[at : at + 1] for at in range(len(stream)))) == STREAMS[stream]


pieces = st.sampled_from([
    *(b"data", b": ", b":", b" ", b"\n", b"\r", b"\r\n", b"a", b"event: x", b"id: 7", b"id: \0", b"retry: 5", b"\0"),
    *(b"data: ", b"\n\n", b"\r\n\r\n", b"\r\r", b"\xef\xbb\xbf", b"\xe2\x82\xac", b"\xe2", b"\x82", b"\xff"),
    b"\xf0\x9d",
])  # fmt: skip
streams = st.lists(pieces | st.binary(max_size=3), max_size=40).map(b"".join)


@settings(deadline=None)
@given(streams, st.lists(st.integers(0, 200), max_size=12))
@example(b"\xef\xbb\xbfdata: a\r\n\r\n", [1, 2, 11, 12])
def test_however_the_bytes_are_cut_the_events_are_the_same(stream: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    assert read(*(stream[a:b] for a, b in pairwise(places))) == read(stream)


@settings(deadline=None)
@given(streams, streams)
def test_an_event_is_told_with_the_byte_that_ends_it(first: bytes, second: bytes) -> None:
    """Lockstep by events needs no look ahead: what came does not wait for what comes."""
    decoder = EventDecoder()
    told = decoder.feed(first)
    assert read(first + second)[: len(told)] == told
    assert decoder.feed(b"") == []


def test_a_cr_ends_its_line_at_once() -> None:
    decoder = EventDecoder()
    assert decoder.feed(b"data: a\r\n\r") == [Event("a")]
    assert decoder.feed(b"\ndata: b\n\n") == [Event("b")]


def test_retry() -> None:
    decoder = EventDecoder()
    decoder.feed(b"retry: x\nretry\nretry: 1.5\nretry: \xc2\xb2\n")
    assert decoder.retry is None
    decoder.feed(b"retry: 2500\n")
    assert decoder.retry == 2500


# --- the events of the speech API


def test_what_the_events_look_like() -> None:
    assert sse.delta(b"audio") == b'data: {"type": "speech.audio.delta", "audio": "YXVkaW8="}\n\n'
    assert json.loads(sse.done(USAGE).removeprefix(b"data: ")) == {
        "type": "speech.audio.done",
        "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7},
    }
    assert sse.error({"error": {"message": "No."}}) == b'data: {"error": {"message": "No."}}\n\n'


@settings(deadline=None)
@given(st.lists(st.binary(max_size=50), max_size=8), st.lists(st.integers(0, 900), max_size=12))
def test_the_audio_comes_out_as_it_went_in(audio: list[bytes], cuts: list[int]) -> None:
    stream = b"".join([*map(sse.delta, audio), sse.done(USAGE)])
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    decoder = AudioDecoder()
    got = b"".join(decoder.feed(stream[a:b]) for a, b in pairwise(places))
    assert got == b"".join(audio) == audio_of(stream)
    assert decoder.usage == USAGE == usage_of(stream)
    assert (decoder.events, decoder.strange, decoder.error) == (len(audio) + 1, [], None)


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (sse.done(USAGE), True),
        (sse.data_event({"type": "speech.audio.done"}), True),
        (b"data: [DONE]\n\n", True),
        (sse.done(USAGE)[:-1], False),
        (sse.error({"error": {"message": "No."}}), False),
        (b": [DONE]\n\n", False),
        (b"", False),
    ],
)
def test_whether_a_stream_says_that_it_is_complete(last: bytes, said: bool) -> None:
    assert is_done(sse.delta(b"audio") + last) is said


def test_events_that_a_proxy_has_written_anew() -> None:
    """Names, comments, other spacing, other keys, a piece split in two: the audio is the same."""
    halves = [b64encode(part).decode() for part in (b"au", b"dio")]
    lines = [
        ": ping",
        *(f'event: a\nid: {n}\ndata: {{"audio":"{half}",\ndata: "type":"speech.audio.delta","n":{n}}}\n'
          for n, half in enumerate(halves)),
        'data:{"usage":{"total_tokens":7,"output_tokens":4,"input_tokens":3},"type":"speech.audio.done"}\n',
        "data: [DONE]\n",
    ]  # fmt: skip
    stream = "\n".join(lines).replace("\n", "\r\n").encode() + b"\r\n"
    decoder = AudioDecoder()
    assert decoder.feed(stream) == b"audio"
    assert (decoder.usage, decoder.events, decoder.strange) == (USAGE, 4, ["[DONE]"])


@pytest.mark.parametrize(
    "data",
    [
        "", "{", "[]", "null", "5", '"text"', "[" * 100_000, "{}",
        '{"type": 5}', '{"type": "speech.audio.delta"}', '{"type": "speech.audio.delta", "audio": 5}',
        '{"type": "speech.audio.delta", "audio": "a"}', '{"type": "speech.audio.delta", "audio": "\u00e9=="}',
        '{"type": "speech.audio.delta", "audio": "YQ==\\n"}', '{"error": "text"}',
    ],
    ids=lambda data: data[:50],
)  # fmt: skip
def test_what_is_no_event_of_the_api_is_kept_and_harms_nothing(data: str) -> None:
    decoder = AudioDecoder()
    stream = f"data: {data}\n\n".encode() + sse.delta(b"audio")
    assert decoder.feed(stream) == b"audio"
    assert decoder.strange == [data]


@pytest.mark.parametrize(
    "usage", ["null", "{}", '{"input_tokens": 1}', "5", '{"input_tokens": "1", "output_tokens": 1}']
)
def test_a_done_event_without_usage(usage: str) -> None:
    stream = f'data: {{"type": "speech.audio.done", "usage": {usage}}}\n\n'.encode()
    assert usage_of(stream) is None


def test_an_error_in_mid_stream() -> None:
    decoder = AudioDecoder()
    assert decoder.feed(sse.delta(b"audio") + sse.error({"error": {"message": "No."}})) == b"audio"
    assert (decoder.error, decoder.usage) == ({"message": "No."}, None)

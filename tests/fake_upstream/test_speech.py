"""The rules of the speech service, and how it refuses: status, shape and words of the error body."""

from __future__ import annotations

import io
import json
import wave
from ast import literal_eval
from typing import Any

import pytest
from rawclient import RawClient, converse, off, request, served, whats

from fake_upstream.script import Chunk, Script, ScriptError
from fake_upstream.speech import (
    MAX_INPUT,
    WITHOUT_EVENTS,
    Refusal,
    SpeechRequest,
    error_body,
    input_of,
    json_script,
    read_request,
    text_script,
)

GOOD: dict[str, Any] = {"model": "tts-1", "input": "Hello there.", "voice": "alloy"}


def _read(**changes: Any) -> SpeechRequest:
    return read_request(json.dumps({**GOOD, **changes}).encode())


def test_the_least_request() -> None:
    assert _read() == SpeechRequest("tts-1", "Hello there.", "alloy", "mp3", 1.0, "audio", "")


@pytest.mark.parametrize(
    "changes",
    [
        {"response_format": "wav"},
        {"speed": 4},
        {"speed": 0.25},
        {"instructions": "Whisper."},
        {"instructions": None},
        {"stream_format": "audio"},
        {"voice": {"id": "voice_123"}},
        {"model": "any-name-at-all"},
        {"input": "x" * MAX_INPUT},
        {"input": "\u00fc" * MAX_INPUT},
        {"model": "gpt-4o-mini-tts", "stream_format": "sse"},
        {"voice": "a voice that no list has"},
    ],
    ids=str,
)
def test_good_requests(changes: dict[str, Any]) -> None:
    found = _read(**changes)
    for name, value in changes.items():
        if name != "voice":
            assert getattr(found, name) == (value or "")
    voice = changes.get("voice", "alloy")
    assert found.voice == (voice["id"] if isinstance(voice, dict) else voice)


@pytest.mark.parametrize("name", ["instructions", "response_format", "speed", "stream_format"])
def test_null_is_the_default(name: str) -> None:
    assert _read(**{name: None}) == _read()


NAMED = "'type': '{}', 'loc': ('body', '{}')"
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"input": ""}, "string_too_short", "at least 1 character', 'ctx': {'min_length': 1}"),
    ({"input": "x" * (MAX_INPUT + 1)}, "string_too_long", "at most 4096 characters', 'ctx': {'max_length': 4096}"),
    ({"input": ["x"]}, "string_type", "Input should be a valid string"),
    ({"model": 5}, "string_type", "Input should be a valid string"),
    ({"model": ""}, "string_too_short", "at least 1"),
    ({"model": None}, "string_type", "Input should be a valid string"),
    ({"voice": ""}, "string_too_short", "at least 1"),
    ({"voice": {"name": "x"}}, "string_type", "an object with an 'id'"),
    ({"voice": {"id": ""}}, "string_type", "an object with an 'id'"),
    ({"voice": None}, "string_type", "Input should be a valid string"),
    ({"response_format": "ogg"}, "enum", "Input should be 'mp3', 'opus', 'aac', 'flac', 'wav' or 'pcm'"),
    ({"response_format": ["mp3"]}, "enum", "Input should be 'mp3'"),
    ({"stream_format": "ndjson"}, "enum", "Input should be 'audio' or 'sse'"),
    ({"speed": 0.2}, "greater_than_equal", "greater than or equal to 0.25', 'ctx': {'ge': 0.25}"),
    ({"speed": 4.1}, "less_than_equal", "less than or equal to 4.0', 'ctx': {'le': 4.0}"),
    ({"speed": True}, "float_type", "a valid number"),
    ({"speed": "1"}, "float_type", "a valid number"),
    ({"speed": float("nan")}, "finite_number", "a finite number"),
    ({"instructions": 5}, "string_type", "Input should be a valid string"),
    ({"language": "de"}, "extra_forbidden", "Extra inputs are not permitted"),
]


@pytest.mark.parametrize(("changes", "kind", "words"), REFUSED, ids=[str(case[0])[:40] for case in REFUSED])
def test_refused_requests(changes: dict[str, Any], kind: str, words: str) -> None:
    """In the words of the route itself: a list of errors, and neither param nor code."""
    with pytest.raises(Refusal) as caught:
        _read(**changes)
    refusal = caught.value
    assert (refusal.status, refusal.param, refusal.code) == (400, None, None)
    assert refusal.message.startswith("[{" + NAMED.format(kind, next(iter(changes))))
    assert words in refusal.message


def test_a_refusal_says_all_that_is_wrong() -> None:
    with pytest.raises(Refusal) as caught:
        read_request(b'{"speed": 9, "input": ""}')
    errors = literal_eval(caught.value.message)
    assert [error["loc"][1] for error in errors] == ["model", "input", "voice", "speed"]


def test_a_text_that_is_too_long_is_refused_word_for_word_as_in_the_issue() -> None:
    """metadist/synaplan#1665."""
    with pytest.raises(Refusal) as caught:
        _read(input="x" * 5311)
    assert caught.value.message == (
        "[{'type': 'string_too_long', 'loc': ('body', 'input'), "
        "'msg': 'String should have at most 4096 characters', 'ctx': {'max_length': 4096}}]"
    )


@pytest.mark.parametrize("name", ["model", "input", "voice"])
def test_what_is_required(name: str) -> None:
    with pytest.raises(Refusal) as caught:
        read_request(json.dumps({key: value for key, value in GOOD.items() if key != name}).encode())
    assert caught.value.message == f"[{{'type': 'missing', 'loc': ('body', '{name}'), 'msg': 'Field required'}}]"


@pytest.mark.parametrize("model", WITHOUT_EVENTS)
def test_the_models_that_have_no_event_streams(model: str) -> None:
    assert _read(model=model, stream_format="audio").model == model
    with pytest.raises(Refusal) as caught:
        _read(model=model, stream_format="sse")
    refusal = caught.value
    assert (refusal.status, refusal.param, refusal.code) == (400, "stream_format", "unsupported_value")
    assert f"'sse' with the model '{model}'" in refusal.message


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "could not parse the JSON body"),
        (b"{", "could not parse the JSON body"),
        (b"\xff\xfe", "could not parse the JSON body"),
        (b"[" * 100_000, "could not parse the JSON body"),
        (b"[]", "should be a valid dictionary"),
        (b'"text"', "should be a valid dictionary"),
        (b"null", "should be a valid dictionary"),
    ],
    ids=["empty", "open", "binary", "deep", "list", "text", "null"],
)
def test_bodies_that_are_no_object(body: bytes, words: str) -> None:
    with pytest.raises(Refusal) as caught:
        read_request(body)
    assert (caught.value.status, caught.value.param) == (400, None)
    assert words in caught.value.message
    assert input_of(body) == ""


def test_input_of() -> None:
    """The key of a request, also of one that the rules refuse."""
    assert input_of(b'{"input": "h\\u00e9"}') == "h\u00e9"
    assert input_of(b'{"input": 5}') == ""
    assert input_of(b"{}") == ""


def test_error_bodies() -> None:
    assert error_body(400, "No.", "voice", "bad") == {
        "error": {"message": "No.", "type": "invalid_request_error", "param": "voice", "code": "bad"}
    }
    assert error_body(503, "Busy.")["error"]["type"] == "server_error"
    script = Refusal(429, "Slow down.", code="rate").script()
    assert json.loads(script.text) == error_body(429, "Slow down.", code="rate")
    assert (script.status, script.content_type, script.framing) == (429, "application/json", "content-length")


def test_texts_as_scripts() -> None:
    assert text_script(200, "h\u00e9", "text/plain").chunks == (Chunk(size=3),)
    assert text_script(200, "", "text/plain").chunks == ()
    assert json.loads(json_script(200, {"a": ["\u20ac"]}).text) == {"a": ["\u20ac"]}


async def _refused(url: str, data: bytes) -> tuple[int, dict[str, Any]]:
    with RawClient(url) as client:
        client.send(data)
        status, headers, body = await off(client.answer)
        assert headers["content-type"] == "application/json"
        assert headers["x-request-id"].startswith("req_")
        found = json.loads(body)
        assert list(found) == ["error"]
        assert list(found["error"]) == ["message", "type", "param", "code"]
        assert found["error"]["type"] == "invalid_request_error"
        client.send(data)  # a refusal costs no connection
        assert (await off(client.answer))[0] == status
        return status, found["error"]


async def test_400_on_the_wire(loop: str) -> None:
    async with served() as up:
        status, error = await _refused(up.url, request(body=b"{}"))
        assert status == 400
        assert error["message"].startswith("[{'type': 'missing', 'loc': ('body', 'model'), 'msg': 'Field required'}")
        assert (error["param"], error["code"]) == (None, None)


async def test_404_on_the_wire(loop: str) -> None:
    async with served() as up:
        status, error = await _refused(up.url, request(path="/v1/audio/transcriptions"))
        assert status == 404
        assert error["message"] == "Invalid URL (POST /v1/audio/transcriptions)"
        assert (error["param"], error["code"]) == (None, None)


async def test_405_on_the_wire(loop: str) -> None:
    async with served() as up:
        status, error = await _refused(up.url, request(method="GET", body=b""))
        assert status == 405
        assert error["message"] == ("Not allowed to GET on /v1/audio/speech. (HINT: Perhaps you meant to use POST?)")
        assert error["code"] == "method_not_supported"


async def test_an_armed_script_plays_whatever_the_request_says(loop: str) -> None:
    """The harness keys on the input alone: rules and methods are for requests that nobody armed."""
    async with served() as up:
        up.runs.arm("hello", text_script(200, "played", "text/plain"))
        data, _ = await off(converse, up.url, request(body=b'{"input": "hello"}', headers=("connection: close",)))
        assert data.endswith(b"played")
        data, _ = await off(converse, up.url, request(path="/v1/other", headers=("connection: close",)))
        assert b" 404 " in data


async def test_an_unscripted_request_is_audio(loop: str) -> None:
    async with served() as up:
        body = json.dumps({**GOOD, "input": "x", "response_format": "wav"}).encode()
        data, how = await off(converse, up.url, request(version="1.0", body=body))
        head, _, audio = data.partition(b"\r\n\r\n")
        assert how == "fin"
        assert b"content-type: audio/wav" in head
        with wave.open(io.BytesIO(audio), "rb") as file:
            assert file.getnframes() == 1600


async def test_a_default_that_cannot_be_played_is_a_400(loop: str) -> None:
    def default(text: str, plain: Script) -> Script:
        raise ScriptError("end", "explode", "choose another")

    async with served(default=default) as up:
        status, error = await _refused(up.url, request())
        assert (status, error["param"], error["code"]) == (400, "input", "invalid_script")
        assert error["message"] == "script field 'end' is 'explode': choose another"


async def test_a_default_that_fails_costs_its_connection_only(loop: str) -> None:
    def default(text: str, plain: Script) -> Script:
        raise LookupError("a bug in somebody's default")

    async with served(default=default) as up:
        data, how = await off(converse, up.url, request())
        assert (data[:12], how) == (b"HTTP/1.1 500", "fin")
        assert "LookupError" in (await up.journal.saw("", "crashed")).note
        assert (await off(converse, up.url, request(path="/x", headers=("connection: close",))))[0][:12] == (
            b"HTTP/1.1 404"
        )
        assert whats(up.journal.since()).count("crashed") == 1

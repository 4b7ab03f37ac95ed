"""The rules of the speech service, and how it refuses: status, shape and words of the error body."""

from __future__ import annotations

import io
import json
import wave
from typing import Any

import pytest
from rawclient import RawClient, converse, off, request, served, whats

from fake_upstream.audio import prefix
from fake_upstream.script import Chunk, Script, ScriptError
from fake_upstream.speech import (
    CONTENT_TYPES,
    MAX_INPUT,
    Refusal,
    SpeechRequest,
    error_body,
    input_of,
    json_script,
    plain_script,
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
        {"unknown": {"is": "ignored"}},
    ],
    ids=str,
)
def test_good_requests(changes: dict[str, Any]) -> None:
    found = _read(**changes)
    for name, value in changes.items():
        if name not in ("unknown", "voice"):
            assert getattr(found, name) == (value or "")
    assert found.voice in ("alloy", "voice_123")


REFUSED: list[tuple[dict[str, Any], str | None, str | None, str]] = [
    ({"input": ""}, "input", "invalid_value", "must not be empty"),
    ({"input": "x" * (MAX_INPUT + 1)}, "input", "string_above_max_length", "has 4097 characters; the maximum is 4096"),
    ({"input": ["x"]}, "input", "invalid_type", "Invalid type for 'input'"),
    ({"model": 5}, "model", "invalid_type", "Invalid type for 'model'"),
    ({"voice": ""}, "voice", "invalid_value", "Invalid 'voice'"),
    ({"voice": {"name": "x"}}, "voice", "invalid_value", "Invalid 'voice'"),
    ({"voice": None}, "voice", "invalid_value", "Invalid 'voice'"),
    ({"response_format": "ogg"}, "response_format", "invalid_value", "Supported values are: 'mp3', 'opus'"),
    ({"response_format": ["mp3"]}, "response_format", "invalid_value", "Supported values are"),
    ({"stream_format": "sse"}, "stream_format", "unsupported_value", "not supported"),
    ({"stream_format": "ndjson"}, "stream_format", "invalid_value", "Supported values are: 'audio', 'sse'"),
    ({"speed": 0.2}, "speed", "invalid_value", "0.25 to 4.0"),
    ({"speed": 4.1}, "speed", "invalid_value", "4.1"),
    ({"speed": True}, "speed", "invalid_value", "True"),
    ({"speed": "1"}, "speed", "invalid_value", "'1'"),
    ({"speed": float("nan")}, "speed", "invalid_value", "nan"),
    ({"instructions": 5}, "instructions", "invalid_type", "Invalid type for 'instructions'"),
]


@pytest.mark.parametrize(("changes", "param", "code", "words"), REFUSED, ids=[str(case[0])[:40] for case in REFUSED])
def test_refused_requests(changes: dict[str, Any], param: str, code: str, words: str) -> None:
    with pytest.raises(Refusal) as caught:
        _read(**changes)
    refusal = caught.value
    assert (refusal.status, refusal.param, refusal.code) == (400, param, code)
    assert words in refusal.message


@pytest.mark.parametrize("name", ["model", "input", "voice"])
def test_what_is_required(name: str) -> None:
    with pytest.raises(Refusal) as caught:
        read_request(json.dumps({key: value for key, value in GOOD.items() if key != name}).encode())
    assert (caught.value.param, caught.value.code) == (name, "missing_required_parameter")
    assert caught.value.message == f"Missing required parameter: '{name}'."


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "could not parse the JSON body"),
        (b"{", "could not parse the JSON body"),
        (b"\xff\xfe", "could not parse the JSON body"),
        (b"[" * 100_000, "could not parse the JSON body"),
        (b"[]", "must be an object"),
        (b'"text"', "must be an object"),
        (b"null", "must be an object"),
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


@pytest.mark.parametrize("response_format", CONTENT_TYPES)
def test_the_plain_script(response_format: str) -> None:
    """Audio of the text's length, at the rate it plays, a tenth of a second a chunk; the first at once."""
    script = plain_script(_read(input="x" * 15, response_format=response_format))
    header = 44 if response_format == "wav" else 0
    assert script.total == 48_000 + header
    assert script.content_type == CONTENT_TYPES[response_format]
    assert [chunk.after for chunk in script.chunks] == [0.0] + [0.1] * (len(script.chunks) - 1)
    assert [chunk.size for chunk in script.chunks] == [4800] * 10 + ([44] if header else [])
    if response_format == "wav":
        with wave.open(io.BytesIO(prefix(script, script.total)), "rb") as file:
            assert (file.getframerate(), file.getnframes()) == (24_000, 24_000)


def test_the_plain_script_follows_speed_and_text() -> None:
    assert plain_script(_read(speed=2)).total == pytest.approx(plain_script(_read()).total / 2, abs=2)
    one, other = plain_script(_read(input="one")), plain_script(_read(input="two"))
    assert prefix(one, 100) != prefix(other, 100)
    assert plain_script(_read(input="\ud800")).total == 2 * 1600  # no UTF-8, yet JSON can say it


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
        assert error["message"] == "Missing required parameter: 'model'."
        assert (error["param"], error["code"]) == ("model", "missing_required_parameter")


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
        assert error["message"].startswith("Not allowed to GET on /v1/audio/speech.")


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

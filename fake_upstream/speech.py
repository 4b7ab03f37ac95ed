"""The rules of `POST /v1/audio/speech`: what a request must say, and how the service refuses. Pure.

Sources: OpenAI API reference, "Create speech", and the published OpenAPI description, whose CreateSpeechRequest has
`additionalProperties: false`: an unknown field is refused. This route words what is wrong as a list of Pydantic's
errors, with no `param` and no `code`, as in metadist/synaplan#1665. Any model and any voice are accepted: the listed
models are being retired, and other services have voices of their own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from fake_upstream import formats
from fake_upstream.script import Chunk, Script
from fake_upstream.utterance import FASTEST, FORMATS, SLOWEST

MAX_INPUT = 4096
FIELDS = ("model", "input", "voice", "instructions", "response_format", "speed", "stream_format")
STREAM_FORMATS = ("audio", "sse")
WITHOUT_EVENTS = ("tts-1", "tts-1-hd", "tts-1-1106", "tts-1-hd-1106")
"""Models that have no event streams, and their dated names."""
CONTENT_TYPES = {name: form.content_type for name, form in formats.FORMATS.items()}


class Refusal(Exception):
    """A request that the service answers with an error."""

    def __init__(
        self,
        status: int,
        message: str,
        param: str | None = None,
        code: str | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code
        self.headers = headers

    def script(self) -> Script:
        """The response, in the service's shape."""
        body = error_body(self.status, self.message, self.param, self.code)
        return json_script(self.status, body).but(headers=self.headers)


def error_body(status: int, message: str, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def json_script(status: int, body: Any) -> Script:
    """A script that answers with a JSON document, at once and whole."""
    return text_script(status, json.dumps(body, indent=2), "application/json")


def text_script(status: int, text: str, content_type: str) -> Script:
    size = len(text.encode())
    chunks = (Chunk(size=size),) if size else ()
    return Script(chunks, status=status, content_type=content_type, framing="content-length", payload="text", text=text)


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """A request that keeps the rules. `voice` is a name, or the id of a custom one."""

    model: str
    input: str
    voice: str
    response_format: str = "mp3"
    speed: float = 1.0
    stream_format: str = "audio"
    instructions: str = ""


def input_of(body: bytes) -> str:
    """The `input` text of a request body, "" where there is none: the key by which a run is known."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    text = data.get("input") if isinstance(data, dict) else None
    return text if isinstance(text, str) else ""


def read_request(body: bytes) -> SpeechRequest:
    """Parse and check a request body. Raises Refusal (400) with all that is wrong with it."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal(400, "We could not parse the JSON body of your request.") from None
    if not isinstance(data, dict):
        says = "Input should be a valid dictionary or object to extract fields from"
        raise Refusal(400, str([{"type": "model_attributes_type", "loc": ("body",), "msg": says}]))
    wrong = _Wrong()
    optional = {name: value for name, value in data.items() if value is not None}
    request = SpeechRequest(
        model=_text(wrong, data, "model"),
        input=_text(wrong, data, "input", MAX_INPUT),
        voice=_voice(wrong, data),
        response_format=_choice(wrong, optional, "response_format", FORMATS),
        speed=_speed(wrong, optional),
        stream_format=_choice(wrong, optional, "stream_format", STREAM_FORMATS),
        instructions=_text(wrong, {"instructions": "", **optional}, "instructions", least=0),
    )
    for name in data:
        if name not in FIELDS:
            wrong.note("extra_forbidden", name, "Extra inputs are not permitted")
    if wrong.errors:
        raise Refusal(400, str(wrong.errors))
    if request.stream_format == "sse" and request.model in WITHOUT_EVENTS:
        message = f"Unsupported value: 'stream_format' does not support 'sse' with the model '{request.model}'."
        raise Refusal(400, message, "stream_format", "unsupported_value")
    return request


class _Wrong:
    """What is wrong with a request, in Pydantic's words."""

    def __init__(self) -> None:
        self.errors: list[dict[str, Any]] = []

    def note(self, kind: str, name: str, message: str, **context: Any) -> None:
        error = {"type": kind, "loc": ("body", name), "msg": message}
        self.errors.append({**error, "ctx": context} if context else error)


def _text(wrong: _Wrong, data: dict[str, Any], name: str, most: int | None = None, least: int = 1) -> str:
    value = data.get(name)
    if name not in data:
        wrong.note("missing", name, "Field required")
    elif not isinstance(value, str):
        wrong.note("string_type", name, "Input should be a valid string")
    elif len(value) < least:
        wrong.note("string_too_short", name, f"String should have at least {least} character", min_length=least)
    elif most is not None and len(value) > most:
        wrong.note("string_too_long", name, f"String should have at most {most} characters", max_length=most)
    return value if isinstance(value, str) else ""


def _voice(wrong: _Wrong, data: dict[str, Any]) -> str:
    """A name, or an object with the `id` of a custom voice."""
    value = data.get("voice")
    if isinstance(value, dict):
        if not isinstance(value.get("id"), str) or not value["id"]:
            wrong.note("string_type", "voice", "Input should be a valid string, or an object with an 'id'")
        return str(value.get("id"))
    return _text(wrong, data, "voice")


def _choice(wrong: _Wrong, data: dict[str, Any], name: str, choices: tuple[str, ...]) -> str:
    """One of the choices; the first is the default."""
    value = data.get(name, choices[0])
    if value not in choices:
        expected = f"{', '.join(map(repr, choices[:-1]))} or {choices[-1]!r}"
        wrong.note("enum", name, f"Input should be {expected}", expected=expected)
    return str(value)


def _speed(wrong: _Wrong, data: dict[str, Any]) -> float:
    value = data.get("speed", 1.0)
    if isinstance(value, bool) or not isinstance(value, int | float):
        wrong.note("float_type", "speed", "Input should be a valid number")
    elif value != value:
        wrong.note("finite_number", "speed", "Input should be a finite number")
    elif value < SLOWEST:
        wrong.note("greater_than_equal", "speed", f"Input should be greater than or equal to {SLOWEST}", ge=SLOWEST)
    elif value > FASTEST:
        wrong.note("less_than_equal", "speed", f"Input should be less than or equal to {FASTEST}", le=FASTEST)
    else:
        return value
    return 1.0

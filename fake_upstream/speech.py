"""The rules of `POST /v1/audio/speech`: what a request must say, and how the service refuses. Pure.

Source: OpenAI API reference, "Create speech". Any model name is accepted: the listed ones are being retired.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from fake_upstream import audio
from fake_upstream.pacing import PCM_BYTES_PER_SECOND
from fake_upstream.script import Chunk, Script

MAX_INPUT = 4096
CONTENT_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/opus",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
PLAYABLE = ("wav", "pcm")
"""Formats whose audio is real here; the others carry seeded bytes under their content type."""


class Refusal(Exception):
    """A request that the service answers with an error."""

    def __init__(self, status: int, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code

    def script(self) -> Script:
        """The response, in the service's shape."""
        return json_script(self.status, error_body(self.status, self.message, self.param, self.code))


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
    """A request that keeps the rules."""

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
    """Parse and check a request body. Raises Refusal (400)."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal(400, "We could not parse the JSON body of your request.") from None
    if not isinstance(data, dict):
        raise Refusal(400, "The JSON body of your request must be an object.")
    for name in ("model", "input", "voice"):
        if name not in data:
            raise Refusal(400, f"Missing required parameter: '{name}'.", name, "missing_required_parameter")
    model, text, voice = _text(data, "model"), _text(data, "input"), _voice(data["voice"])
    if not text:
        raise Refusal(400, "Invalid 'input': it must not be empty.", "input", "invalid_value")
    if len(text) > MAX_INPUT:
        message = f"Invalid 'input': it has {len(text)} characters; the maximum is {MAX_INPUT}."
        raise Refusal(400, message, "input", "string_above_max_length")
    response_format = _choice(data, "response_format", "mp3", tuple(CONTENT_TYPES))
    stream_format = _choice(data, "stream_format", "audio", ("audio", "sse"))
    if stream_format == "sse":
        raise Refusal(400, "'stream_format' 'sse' is not supported yet.", "stream_format", "unsupported_value")
    speed = data.get("speed", 1.0)
    if isinstance(speed, bool) or not isinstance(speed, int | float) or not 0.25 <= speed <= 4.0:
        raise Refusal(400, f"Invalid 'speed': {speed!r}; give a number from 0.25 to 4.0.", "speed", "invalid_value")
    instructions = _text(data, "instructions") if data.get("instructions") is not None else ""
    return SpeechRequest(model, text, voice, response_format, speed, stream_format, instructions)


def plain_script(request: SpeechRequest) -> Script:
    """What an unscripted request gets: audio of the text's length, as fast as it plays, a tenth of a second a chunk."""
    pcm = 2 * round(audio.SAMPLE_RATE * audio.SECONDS_PER_CHARACTER * len(request.input) / request.speed)
    total = pcm + (audio.WAV_HEADER if request.response_format == "wav" else 0)
    size = PCM_BYTES_PER_SECOND // 10
    sizes = [size] * (total // size) + ([total % size] if total % size else [])
    return Script(
        chunks=tuple(Chunk(size=n, after=0.1 if index else 0.0) for index, n in enumerate(sizes)),
        content_type=CONTENT_TYPES[request.response_format],
        payload="wav" if request.response_format == "wav" else "pcm" if request.response_format == "pcm" else "seeded",
        seed=sum(request.input.encode("utf-8", "surrogatepass")),
    )


def _text(data: dict[str, Any], name: str) -> str:
    value = data[name]
    if not isinstance(value, str):
        raise Refusal(400, f"Invalid type for '{name}': expected a string.", name, "invalid_type")
    return value


def _choice(data: dict[str, Any], name: str, default: str, choices: tuple[str, ...]) -> str:
    value = data.get(name, default)
    if value not in choices:
        message = f"Invalid value for '{name}': {value!r}. Supported values are: {', '.join(map(repr, choices))}."
        raise Refusal(400, message, name, "invalid_value")
    return str(value)


def _voice(value: object) -> str:
    """A name, or an object with the `id` of a custom voice."""
    if isinstance(value, dict) and isinstance(value.get("id"), str):
        return str(value["id"])
    if isinstance(value, str) and value:
        return value
    raise Refusal(400, "Invalid 'voice': give a name or an object with an 'id'.", "voice", "invalid_value")

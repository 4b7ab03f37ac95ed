"""Server-sent events: the speech API's events as bytes, and bytes as events. Pure.

Sources: WHATWG HTML, "Server-sent events", sections 9.2.5 and 9.2.6; OpenAI API reference, "Create speech": the events
`speech.audio.delta` and `speech.audio.done`. An error in mid-stream is a data line with an `error` object, which is
what OpenAI's client libraries raise on.
"""

from __future__ import annotations

import codecs
import json
import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Any

CONTENT_TYPE = "text/event-stream"
DELTA, DONE = "speech.audio.delta", "speech.audio.done"
END = "[DONE]"
"""The end in the manner of chat completions: none of the speech API's words, but some gateways say it."""
LINE_END = re.compile("\r\n|\r|\n")
BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class Event:
    """One event as a listener gets it. `type` is "message" unless it says otherwise; `id` is the last one that came."""

    data: str
    type: str = "message"
    id: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, as the `done` event counts them."""

    input_tokens: int
    output_tokens: int
    total_tokens: int


# --- building


def data_event(data: Any) -> bytes:
    """One event whose data is this JSON value."""
    return f"data: {json.dumps(data)}\n\n".encode()


def delta(audio: bytes) -> bytes:
    """The event that carries a piece of audio."""
    return data_event({"type": DELTA, "audio": b64encode(audio).decode()})


def done(usage: Usage) -> bytes:
    """The event after the last piece of audio."""
    tokens = {name: getattr(usage, name) for name in Usage.__slots__}
    return data_event({"type": DONE, "usage": tokens})


def error(body: dict[str, Any]) -> bytes:
    """An error in mid-stream. `body` is an error body as the service has it, with its `error` (speech.error_body)."""
    return data_event(body)


# --- reading


class EventDecoder:
    """Bytes → events, however the bytes are cut. What follows the last blank line is no event."""

    def __init__(self) -> None:
        self.retry: int | None = None
        """Milliseconds before a reconnection, if the stream has said so."""
        self._text = codecs.getincrementaldecoder("utf-8")("replace")
        self._begun = False
        self._after_cr = False
        self._line: list[str] = []
        self._data: list[str] = []
        self._type = ""
        self._id = ""

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete."""
        text = self._text.decode(data)
        if text and not self._begun:
            self._begun = True
            text = text.removeprefix(BOM)
        if not text:
            return []
        if self._after_cr:  # a CR ended its line at once; the LF of a CRLF may follow in another piece
            text = text.removeprefix("\n")
        self._after_cr = text.endswith("\r")
        first, *others = LINE_END.split(text)
        self._line.append(first)
        events = []
        for other in others:
            if event := self._take("".join(self._line)):
                events.append(event)
            self._line = [other]
        return events

    def _take(self, line: str) -> Event | None:
        """One line of the stream; an event if it was the blank one after it."""
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "data":
                self._data.append(value)
            case "event":
                self._type = value
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if value.isascii() and value.isdigit():
                self.retry = int(value)
        return None

    def _dispatch(self) -> Event | None:
        data, kind = self._data, self._type
        self._data, self._type = [], ""
        return Event("\n".join(data), kind or "message", self._id) if data else None


class AudioDecoder:
    """Bytes of an event stream → the audio in it, however the bytes are cut and the events are written.

    `done` says whether the stream has said that it is complete, `usage` is that of the `done` event, `error` the last
    error object. `events` counts all events; `strange` keeps the data of those that are none of the API's, whatever a
    proxy has made of them: reading never fails.
    """

    def __init__(self) -> None:
        self.done = False
        self.usage: Usage | None = None
        self.error: dict[str, Any] | None = None
        self.events = 0
        self.strange: list[str] = []
        self._events = EventDecoder()

    def feed(self, data: bytes) -> bytes:
        """The audio that these bytes complete."""
        return b"".join(self._read(event.data) for event in self._events.feed(data))

    def _read(self, data: str) -> bytes:
        """The audio of one event; what else it says is kept."""
        self.events += 1
        self.done = self.done or data == END
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            value = None
        match value:
            case {"error": dict() as error}:
                self.error = error
            case {"type": "speech.audio.delta", "audio": str() as audio}:
                try:
                    return b64decode(audio, validate=True)
                except ValueError:
                    self.strange.append(data)
            case {
                "type": "speech.audio.done",
                "usage": {
                    "input_tokens": int() as given,
                    "output_tokens": int() as made,
                    "total_tokens": int() as total,
                },
            }:
                self.usage = Usage(given, made, total)
                self.done = True
            case {"type": "speech.audio.done"}:
                self.done = True
            case _:
                self.strange.append(data)
        return b""


def audio_of(stream: bytes) -> bytes:
    """The audio in the bytes of an event stream: by it, not by the bytes, two streams of the same speech agree."""
    return AudioDecoder().feed(stream)


def is_done(stream: bytes) -> bool:
    """Whether the stream says that it is complete."""
    decoder = AudioDecoder()
    decoder.feed(stream)
    return decoder.done


def usage_of(stream: bytes) -> Usage | None:
    """The usage of the `done` event; None if there was none, or none that can be read."""
    decoder = AudioDecoder()
    decoder.feed(stream)
    return decoder.usage

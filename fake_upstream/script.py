"""A script: what one upstream response does, chunk by chunk. Pure data; knows no clock, socket or loop.

Times are seconds after the step before; a step with a gate also waits until the gate is opened. Gates are
numbered in the order in which they stand in the script, from 0. Source of the words: README, "Words".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate
from typing import Any, Literal, get_args

from fake_upstream.utterance import Speech

Framing = Literal["chunked", "content-length", "close-delimited", "http10"]
EndingKind = Literal["finish", "fin", "reset", "malformed", "short", "hang", "half_close"]
Payload = Literal["seeded", "hostile", "wav", "pcm", "text", "sse", "speech"]
WRITTEN = ("text", "sse")
"""Payloads that stand in the script's own `text`."""


LONGEST = 1e9
"""Seconds: the longest wait a script can hold."""
SHORT_BY = 1024
MOST_CHUNKS = 1_000_000
"""What a script holds at most when it is read from text."""


class ScriptError(ValueError):
    """A script that cannot be played. Names the field, the value and the remedy."""

    def __init__(self, field_name: str, value: object, remedy: str) -> None:
        super().__init__(f"script field {field_name!r} is {value!r}: {remedy}")
        self.field_name = field_name


def check_seconds(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LONGEST:
        raise ScriptError(name, value, "give seconds after the step before it, a number from 0 to a billion")


def check_whole(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ScriptError(name, value, f"give a whole number of {least} or more")


def check_flag(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise ScriptError(name, value, "give true or false")


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ScriptError(name, value, f"choose one of {', '.join(choices)}")


def check_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise ScriptError(name, value, "give text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ScriptError(name, value, "give text without lone surrogates") from None


@dataclass(frozen=True, slots=True)
class Step:
    """When something happens: `after` seconds later than the step before, and not before its gate opens."""

    after: float = 0.0
    gate: bool = False

    def check(self, name: str) -> None:
        check_seconds(f"{name}.after", self.after)
        check_flag(f"{name}.gate", self.gate)


@dataclass(frozen=True, slots=True)
class Chunk(Step):
    """`size` body bytes in one write (one chunk of the chunked coding where that is the framing)."""

    size: int = field(kw_only=True)

    def check(self, name: str) -> None:
        Step.check(self, name)
        check_whole(f"{name}.size", self.size, 1)


@dataclass(frozen=True, slots=True)
class Ending(Step):
    """How the response ends, once all chunks are out.

    finish: as the framing says; fin: the connection closes without the terminator; reset: RST; malformed: a
    chunk whose size line is no number, then a close; short: fewer bytes than Content-Length says, then a
    close; hang: silence, the connection stays open; half_close: FIN without the terminator, still reading.
    """

    kind: EndingKind = "finish"

    def check(self, name: str) -> None:
        Step.check(self, name)
        check_choice(f"{name}.kind", self.kind, get_args(EndingKind))


@dataclass(frozen=True)
class Script:
    """One upstream response. Frozen: a fault is a function from a script to a script (see faults.py).

    `payload` names where the body bytes come from (audio.py): `seed` picks them, or they stand in `text` (an event
    stream if it is "sse"), or are the encoded `speech` (spoken.py makes both). `missing` is how many bytes more
    the response promises, in its Content-Length and in a WAV header, than its chunks hold; a `short` ending needs
    some, 1,024 if it does not say. A `silent` script sends no head either, only its ending.
    Raises ScriptError where a field cannot be played.
    """

    chunks: tuple[Chunk, ...] = ()
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = "application/octet-stream"
    framing: Framing = "chunked"
    head: Step = Step()
    ending: Ending = Ending()
    payload: Payload = "seeded"
    seed: int = 0
    text: str = ""
    speech: Speech | None = None
    missing: int = 0
    silent: bool = False

    def __post_init__(self) -> None:
        check_whole("status", self.status, 200)
        if self.status > 599:
            raise ScriptError("status", self.status, "give a final HTTP status, 200 to 599")
        check_text("content_type", self.content_type)
        for name, value in self.headers:
            _check_header(name, value)
        _check_header("content-type", self.content_type)
        check_choice("framing", self.framing, get_args(Framing))
        check_choice("payload", self.payload, get_args(Payload))
        check_whole("seed", self.seed, 0)
        check_whole("missing", self.missing, 0)
        check_text("text", self.text)
        check_flag("silent", self.silent)
        if self.silent and self.chunks:
            raise ScriptError("silent", True, "a script without a head has no chunks either")
        self.head.check("head")
        for index, chunk in enumerate(self.chunks):
            chunk.check(f"chunks[{index}]")
        self.ending.check("ending")
        if self.ending.kind == "short" and self.framing != "content-length":
            raise ScriptError("ending.kind", "short", 'only the framing "content-length" can fall short of it')
        if self.ending.kind == "malformed" and self.framing != "chunked":
            raise ScriptError("ending.kind", "malformed", 'only the framing "chunked" has chunks to malform')
        if self.ending.kind == "finish" and self.missing and self.framing == "content-length":
            raise ScriptError("missing", self.missing, "a response that finishes holds all that it promises: give 0")
        if self.ending.kind == "finish" and self.silent:
            raise ScriptError("ending.kind", "finish", "a script without a head cannot: choose fin, reset or hang")
        if self.speech is not None and not isinstance(self.speech, Speech):
            raise ScriptError("speech", self.speech, "give a Speech")
        if self.payload == "speech" and self.speech is None:
            raise ScriptError("speech", None, 'the payload "speech" needs one: say what is spoken')
        if self.payload in WRITTEN and self.total != len(self.text.encode()):
            raise ScriptError("chunks", self.total, f"the text has {len(self.text.encode())} bytes: cover just those")

    @cached_property
    def ends(self) -> tuple[int, ...]:
        """Body bytes sent once chunk k is out, for each k."""
        return tuple(accumulate(chunk.size for chunk in self.chunks))

    @property
    def total(self) -> int:
        """Body bytes in all chunks."""
        return self.ends[-1] if self.chunks else 0

    @property
    def promised(self) -> int:
        """Body bytes that the head announces."""
        return self.total + (self.missing or (SHORT_BY if self.ending.kind == "short" else 0))

    @cached_property
    def gates(self) -> int:
        """How many gates stand in the script."""
        return sum(step.gate for step in self.steps())

    def steps(self) -> Iterator[Step]:
        yield self.head
        yield from self.chunks
        yield self.ending

    def but(self, **changes: Any) -> Script:
        """The same script with some fields changed."""
        return replace(self, **changes)


def _check_header(name: object, value: object) -> None:
    if not isinstance(name, str) or not isinstance(value, str):
        raise ScriptError("headers", (name, value), "give pairs of text")
    if not name or any(c in name for c in "\r\n: \0") or any(c in value for c in "\r\n\0"):
        raise ScriptError("headers", (name, value), "a name has no space or colon, a value no line break")
    try:
        (name + value).encode("latin-1")
    except UnicodeEncodeError:
        raise ScriptError("headers", (name, value), "a header holds Latin-1 characters only") from None

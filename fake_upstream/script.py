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
Expect = Literal["continue", "ignore", "final"]
Payload = Literal["seeded", "hostile", "wav", "pcm", "text", "sse", "speech", "gzip", "zstd"]
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
class Early(Step):
    """An informational response before the head (RFC 9110, section 15.2), 103 Early Hints unless it says otherwise."""

    status: int = 103
    headers: tuple[tuple[str, str], ...] = ()

    def check(self, name: str) -> None:
        Step.check(self, name)
        check_whole(f"{name}.status", self.status, 100)
        if self.status > 199 or self.status == 101:
            raise ScriptError(f"{name}.status", self.status, "give 100 or 102 to 199: 101 would end HTTP here")
        for pair in self.headers:
            _check_header(f"{name}.headers", *pair)


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
    stream if it is "sse"), or are the encoded `speech` (spoken.py makes both); "gzip" and "zstd" are frames of noise
    (packed.py), and the `headers` have to say so. `missing` is how many bytes more
    the response promises, in its Content-Length and in a WAV header, than its chunks hold; a `short` ending needs
    some, 1,024 if it does not say. A `silent` script sends no head either, only its ending.

    `early` comes before the head, and not to a client of HTTP/1.0. `trailers` follow the last chunk of the chunked
    coding if the response finishes (RFC 9110, section 6.5). With `ranges` one byte range is answered by 206, or by 416
    (section 14; ranges.py). `expect` is what becomes of a request that says `Expect: 100-continue` (section 10.1.1):
    continue: 100, then the response to the whole request; ignore: nothing until the body comes all the same; final:
    the response at once, and the connection closes after it. A request is known by its body, which then has not come:
    so of the armed scripts that do not say `continue` the one armed last decides for every such request.
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
    early: tuple[Early, ...] = ()
    trailers: tuple[tuple[str, str], ...] = ()
    ranges: bool = False
    expect: Expect = "continue"

    def __post_init__(self) -> None:
        check_whole("status", self.status, 200)
        if self.status > 599:
            raise ScriptError("status", self.status, "give a final HTTP status, 200 to 599")
        check_text("content_type", self.content_type)
        for pair in self.headers:
            _check_header("headers", *pair)
        _check_header("headers", "content-type", self.content_type)
        for pair in self.trailers:
            _check_header("trailers", *pair)
        check_choice("framing", self.framing, get_args(Framing))
        check_choice("payload", self.payload, get_args(Payload))
        check_whole("seed", self.seed, 0)
        check_whole("missing", self.missing, 0)
        check_text("text", self.text)
        check_flag("silent", self.silent)
        check_flag("ranges", self.ranges)
        check_choice("expect", self.expect, get_args(Expect))
        if self.silent and self.chunks:
            raise ScriptError("silent", True, "a script without a head has no chunks either")
        for index, early in enumerate(self.early):
            early.check(f"early[{index}]")
        if self.early and self.framing == "http10":
            raise ScriptError("early", len(self.early), "HTTP/1.0 has no informational responses: leave them out")
        if self.trailers and self.framing != "chunked":
            raise ScriptError("trailers", self.trailers, 'only the framing "chunked" has room for trailers')
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
        yield from self.early
        yield self.head
        yield from self.chunks
        yield self.ending

    def but(self, **changes: Any) -> Script:
        """The same script with some fields changed."""
        return replace(self, **changes)


def _check_header(field_name: str, name: object, value: object) -> None:
    if not isinstance(name, str) or not isinstance(value, str):
        raise ScriptError(field_name, (name, value), "give pairs of text")
    if not name or any(c in name for c in "\r\n: \0") or any(c in value for c in "\r\n\0"):
        raise ScriptError(field_name, (name, value), "a name has no space or colon, a value no line break")
    try:
        (name + value).encode("latin-1")
    except UnicodeEncodeError:
        raise ScriptError(field_name, (name, value), "a header holds Latin-1 characters only") from None

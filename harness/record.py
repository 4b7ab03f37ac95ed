"""A record: all that one staging left behind, in the words of both ends. Pure; judges read nothing else."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from fake_upstream.audio import prefix
from fake_upstream.events import Event
from fake_upstream.script import Script
from fake_upstream.script_json import script_from_json, script_to_json
from harness.loops import Pairing

SCHEMA = 1
Outcome = Literal["happened", "ended", "never", "wedged", "stopped", "dead", "silent"]
"""How a wait came out. ended: the response was over before it could happen; never: patience is spent;
wedged: nothing passed through a target that runs; stopped, dead, silent: the target could not be asked."""
Goal = Literal["head", "holds", "over", "saw", "passed"]
"""What was waited for: the head or some bytes at the client, the end of its response, an event at the upstream;
or nothing but that small requests pass through the target."""
UNSOUND_OUTCOMES = ("stopped", "dead", "silent")
OVER = ("ended", "broke", "left")
LET_GO = ("peer_fin", "peer_reset", "write_failed")
T = TypeVar("T")


class TraceError(ValueError):
    """A trace that cannot be read."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Something the staging waited for. Times in ns; `trips` counts the small requests that passed meanwhile."""

    goal: Goal
    what: str
    exchange: int
    outcome: Outcome
    began: int
    ended: int
    trips: int = 0
    staging: bool = False
    """Whether it was a state to be reached before the claim is put to the test, not the claim itself."""

    @property
    def happened(self) -> bool:
        return self.outcome == "happened"


@dataclass(frozen=True)
class Exchange:
    """One client request through the target, and what the upstream saw of it."""

    key: str
    script: Script
    upstream: tuple[Event, ...]
    client: tuple[Event, ...]
    received: bytes = b""
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    request: str = ""
    """The body of the client's request."""

    def seen(self, *kinds: str) -> tuple[Event, ...]:
        """The upstream's events of these kinds."""
        return tuple(event for event in self.upstream if event.what in kinds)

    @property
    def attempts(self) -> int:
        """How often the target asked the upstream."""
        return len(self.seen("asked"))

    @property
    def over(self) -> Event | None:
        """How the client's side ended: ended, broke or left; None while it was still open."""
        return next((event for event in self.client if event.what in OVER), None)

    @property
    def let_go(self) -> Event | None:
        """When the upstream first saw that the target was gone."""
        return next(iter(self.seen(*LET_GO)), None)

    @cached_property
    def offered(self) -> bytes:
        """The whole body that the script would have sent."""
        return prefix(self.script, self.script.total)

    def emitted_bytes(self, until: int | None = None) -> int:
        """Body bytes that the upstream had begun to send by an instant, or at all."""
        return sum(e.size or 0 for e in self.seen("emitted") if until is None or e.at <= until)

    def received_bytes(self, until: int | None = None) -> int:
        """Body bytes that the client held at an instant, or at the end."""
        return sum(e.size or 0 for e in self.client if e.what == "received" and (until is None or e.at <= until))

    def to_json(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "key": self.key,
            "script": script_to_json(self.script),
            "upstream": [event.to_json() for event in self.upstream],
            "client": [event.to_json() for event in self.client],
            "status": self.status,
            "headers": [list(pair) for pair in self.headers],
            "request": self.request,
        }
        # What was delivered intact can be made again from the script; only surprises are worth their bytes.
        if prefix(self.script, len(self.received)) == self.received:
            data["received"] = {"first_bytes_of_script": len(self.received)}
        else:
            data["received"] = {"zlib": base64.b64encode(zlib.compress(self.received)).decode()}
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Exchange:
        script = script_from_json(data["script"])
        received = _part(data, "received", dict)
        if "zlib" in received:
            body = zlib.decompress(base64.b64decode(received["zlib"]))
        else:
            body = prefix(script, received["first_bytes_of_script"])
        return _checked(
            cls(
                data["key"],
                script,
                tuple(_checked(Event.from_json(event)) for event in _part(data, "upstream", list)),
                tuple(_checked(Event.from_json(event)) for event in _part(data, "client", list)),
                body,
                data["status"],
                tuple((name, value) for name, value in _part(data, "headers", list)),
                data["request"],
            )
        )


@dataclass(frozen=True)
class Record:
    """One staging of a scenario's variant. `unsound` says why it cannot be judged, if it cannot."""

    target: str
    scenario: str
    variant: str
    loops: Pairing
    exchanges: tuple[Exchange, ...] = ()
    waits: tuple[Wait, ...] = ()
    unsound: str = ""
    output: str = ""
    """The last lines that the target printed, if its process is ours and it died."""
    environment: Mapping[str, str] = field(default_factory=dict)
    skipped: str = ""
    """Why it was not staged, if it was not: something here is missing, and nobody is to blame."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What the staging counted besides; JSON values by name."""

    @property
    def staged(self) -> bool:
        """Whether every state that was to be reached first was reached."""
        return all(wait.happened for wait in self.waits if wait.staging)

    def missed(self, goal: Goal) -> Wait | None:
        """The first such claim that was waited for and came out otherwise."""
        waits = (wait for wait in self.waits if wait.goal == goal and not wait.staging)
        return next((wait for wait in waits if not wait.happened), None)

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "target": self.target,
            "scenario": self.scenario,
            "variant": self.variant,
            "loops": self.loops.to_json(),
            "exchanges": [exchange.to_json() for exchange in self.exchanges],
            "waits": [asdict(wait) for wait in self.waits],
            "unsound": self.unsound,
            "output": self.output,
            "environment": dict(self.environment),
            "skipped": self.skipped,
            "facts": dict(self.facts),
        }

    @classmethod
    def from_json(cls, data: Any) -> Record:
        """Read a trace. Raises TraceError."""
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            found = data.get("schema") if isinstance(data, dict) else None
            raise TraceError(f"field 'schema' is {found!r}: this version reads traces of schema {SCHEMA}")
        try:
            return _checked(
                cls(
                    data["target"],
                    data["scenario"],
                    data["variant"],
                    _checked(Pairing(**_part(data, "loops", dict))),
                    tuple(Exchange.from_json(exchange) for exchange in _part(data, "exchanges", list)),
                    tuple(_checked(Wait(**wait)) for wait in _part(data, "waits", list)),
                    data["unsound"],
                    data["output"],
                    data["environment"],
                    data["skipped"],
                    data["facts"],
                )
            )
        except TraceError:
            raise
        except KeyError as error:
            raise TraceError(f"field {error} is missing: the trace is cut or was written by something else") from None
        except (TypeError, ValueError, AttributeError, zlib.error) as error:
            raise TraceError(f"the trace cannot be read: {error}") from error


def _part(data: Mapping[str, Any], name: str, kind: type[T]) -> T:
    """A field that must be there and be of a kind. Raises KeyError, TraceError."""
    value = data[name]
    if not isinstance(value, kind):
        raise TraceError(f"field {name!r} is {value!r}: expected {kind.__name__}")
    return value


def _checked(made: T) -> T:
    """What was read from a trace, if its fields hold what they are for. Raises TraceError."""
    for name, hint in _HINTS[type(made)].items():
        value = getattr(made, name)
        if not _fits(value, hint):
            what = hint.__name__ if isinstance(hint, type) else hint
            choices = f"one of {get_args(hint)}" if get_origin(hint) is Literal else what
            raise TraceError(f"field {name!r} is {value!r}: expected {choices}")
    return made


_HINTS: Mapping[type, Mapping[str, Any]] = {
    kind: get_type_hints(kind) for kind in (Event, Pairing, Wait, Exchange, Record)
}


def _fits(value: object, hint: Any) -> bool:
    if get_origin(hint) in (Union, UnionType):
        return any(_fits(value, choice) for choice in get_args(hint))
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    return isinstance(value, get_origin(hint) or hint) and (hint is bool or not isinstance(value, bool))

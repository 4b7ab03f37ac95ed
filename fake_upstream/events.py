"""Events: the words of the journal. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

UPSTREAM_EVENTS = (
    "accepted", "asked", "released", "interim_sent", "head_sent", "emitted", "finished",
    "recycled", "cut", "peer_fin", "peer_reset", "write_failed", "closed", "crashed",
)  # fmt: skip
CLIENT_EVENTS = ("connected", "head_received", "received", "half_closed", "ended", "broke", "left", "timed_out")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, in the past tense.

    `at` is when (ns, CLOCK_MONOTONIC); for a write it is the instant before the first byte was handed to the
    kernel, and `until` the instant after the last. `planned` is when the script wanted it. `connection` and
    `request` count from 1 (0: none). `key` is the request's `input` text. `size` counts body bytes.

    `recycled`: the connection waits for its next request. The client may well hold the response's end before that.
    """

    at: int
    what: str
    connection: int = 0
    request: int = 0
    key: str = ""
    chunk: int | None = None
    size: int | None = None
    until: int | None = None
    planned: int | None = None
    note: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""

    def to_json(self) -> dict[str, Any]:
        """Only what is set; `Event.from_json` reads it back."""
        given = asdict(self)
        return {f.name: given[f.name] for f in fields(self) if f.name in ("at", "what") or given[f.name] != f.default}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Event:
        headers = tuple((str(name), str(value)) for name, value in data.get("headers", ()))
        return cls(**{**data, "headers": headers})

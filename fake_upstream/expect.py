"""`Expect: 100-continue` (RFC 9110, section 10.1.1): a client that asks for leave before it sends its body."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from time import monotonic_ns

from fake_upstream.frames import interim
from fake_upstream.wire import PeerLeft, Wire


def wants_leave(headers: Iterable[tuple[str, str]], http_version: str) -> bool:
    """Whether a request waits for leave; one of HTTP/1.0 cannot."""
    expectations = (part for name, value in headers if name.lower() == "expect" for part in value.split(","))
    return http_version != "1.0" and any(part.strip().lower() == "100-continue" for part in expectations)


async def give_leave(wire: Wire) -> None:
    """Send 100 Continue. Noted under no key: the request's key is in the body that is still to come."""
    amend = wire.notes.note("interim_sent", note="100")
    with suppress(PeerLeft):
        await wire.write(interim(100))
    amend(until=monotonic_ns())

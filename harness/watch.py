"""Watches every httpx, httpx2 and aiohttp client for a while, also those that somebody else makes deep inside.

with watching(ledger, "http://127.0.0.1:4000"):
    ...         # every request to this origin is on the ledger's record

The public classes httpx.AsyncHTTPTransport, httpx2.AsyncHTTPTransport and aiohttp.BaseConnector are told to report;
they are themselves again once nobody watches. Only libraries that are imported already are looked at.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any

from harness.ledger import Ledger
from harness.places import watch_collection

WATCHED = (
    ("httpx", "AsyncHTTPTransport", "handle_async_request", Ledger.request),
    ("httpx2", "AsyncHTTPTransport", "handle_async_request", Ledger.request),
    ("aiohttp", "BaseConnector", "connect", Ledger.connection),
)
_lock = Lock()
_watches: list[_Watch] = []
_originals: dict[tuple[type, str], Any] = {}


@dataclass(frozen=True, slots=True, eq=False)
class _Watch:
    ledger: Ledger
    origin: str


@contextmanager
def watching(ledger: Ledger, origin: str = "http") -> Iterator[None]:
    """Have the ledger see every request whose URL begins with this, on all threads, until the block is left."""
    watch = _Watch(ledger, origin)
    watch_collection()
    with _lock:
        _watches.append(watch)
        _tell()
    try:
        yield
    finally:
        with _lock:
            _watches.remove(watch)
            if not _watches:
                _be_still()


def _tell() -> None:
    for library, name, method, how in WATCHED:
        kind = getattr(sys.modules.get(library), name, None)
        if kind is not None and (kind, method) not in _originals:
            _originals[kind, method] = original = getattr(kind, method)
            setattr(kind, method, _reporting(original, how))


def _be_still() -> None:
    for (kind, method), original in _originals.items():
        setattr(kind, method, original)
    _originals.clear()


def _reporting(original: Callable[..., Any], how: Callable[..., Any]) -> Callable[..., Any]:
    async def reporting(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        url = str(request.url)
        watch = next((watch for watch in reversed(_watches) if url.startswith(watch.origin)), None)
        call = original.__get__(self)
        if watch is None:
            return await call(request, *args, **kwargs)
        return await how(watch.ledger, call, request, *args, **kwargs)

    return reporting

"""Places in the code that runs: who asked for this, and whether garbage collection did."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

HERE = Path(__file__).resolve().parent
OURS = {str(HERE / f"{name}.py") for name in ("places", "ledger", "watched", "watch", "natives", "streams", "consume")}
LIBRARIES = frozenset(
    ("aiohttp", "anyio", "asyncio", "contextlib", "httpcore", "httpcore2", "httpx", "httpx2", "openai", "trio")
)
"""Packages in which nobody looks for who opened a context."""

LOOPS = ("asyncio", "trio", "uvloop")
_given_up: set[CodeType] = set()
"""The code of async generators that were collected before they had ended; their event loop closes them after that.

Not the generators: a reference to what is being collected, weak or not, is no safe thing to have.
"""


def asker() -> str:
    """FILE:LINE of the innermost code that is neither a library's nor ours."""
    frames = list(_frames())
    found = next((frame for frame in frames if not _is_passed_over(frame)), None) or frames[-1]
    path = Path(found.f_code.co_filename)
    if path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    return f"{path}:{found.f_lineno}"


def is_collecting() -> bool:
    """Whether what runs here was started by garbage collection: a finalizer, or what closes a lost generator."""
    return any(frame.f_code.co_name == "__del__" or _is_lost(frame) for frame in _frames())


def watch_collection() -> None:
    """Learn of async generators that are collected on this thread's event loop, from the next one started on."""
    finalizer: Any = sys.get_asyncgen_hooks().finalizer
    if finalizer is not None and not isinstance(finalizer, _Finalizer):
        sys.set_asyncgen_hooks(finalizer=_Finalizer(finalizer))


class _Finalizer:
    """The event loop's own finalizer, told on. Gone with its loop, which puts back what was there before it."""

    def __init__(self, finalize: Callable[[Any], None]) -> None:
        self.finalize = finalize

    def __call__(self, generator: Any) -> None:
        _given_up.add(generator.ag_code)
        self.finalize(generator)


def _frames() -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe(1)
    while frame:
        yield frame
        frame = frame.f_back


def _is_lost(frame: FrameType) -> bool:
    """Whether it is a lost generator's, which the event loop itself drives to its close."""
    return frame.f_code in _given_up and (frame.f_back is None or _root(frame.f_back) in LOOPS)


def _root(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _is_passed_over(frame: FrameType) -> bool:
    return _root(frame) in LIBRARIES or frame.f_code.co_filename in OURS

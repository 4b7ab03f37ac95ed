"""Places in the code that runs: who asked for this, and whether garbage collection did."""

from __future__ import annotations

import sys
from collections.abc import Callable
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
    """FILE:LINE of the innermost code that is neither a library's nor ours.

    Frames are looked at one by one, and never one's own: a frame that refers to itself keeps all that is in it and
    in its callers, streams too, until garbage is collected.
    """
    frame = sys._getframe(1)
    while _is_passed_over(frame) and frame.f_back:
        frame = frame.f_back
    path = Path(frame.f_code.co_filename)
    if path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    return f"{path}:{frame.f_lineno}"


def is_collecting() -> bool:
    """Whether what runs here was started by garbage collection: a finalizer, or what closes a lost generator."""
    frame: FrameType | None = sys._getframe(1)
    while frame:
        if frame.f_code.co_name == "__del__" or _is_lost(frame):
            return True
        frame = frame.f_back
    return False


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


def _is_lost(frame: FrameType) -> bool:
    """Whether it is a lost generator's, which the event loop itself drives to its close."""
    return frame.f_code in _given_up and (frame.f_back is None or _root(frame.f_back) in LOOPS)


def _root(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _is_passed_over(frame: FrameType) -> bool:
    return _root(frame) in LIBRARIES or frame.f_code.co_filename in OURS

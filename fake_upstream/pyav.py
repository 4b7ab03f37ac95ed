"""PyAV, FFmpeg's libraries for Python: an extra, because its wheel has 35 MB and only four of six formats need it."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType


class CodecMissing(RuntimeError):
    """A format was asked for that needs PyAV, and PyAV cannot be imported."""

    def __init__(self, response_format: str, reason: object) -> None:
        super().__init__(
            f"{response_format} audio needs PyAV ({reason}): pip install 'streamproof[audio]', or choose wav or pcm"
        )
        self.response_format = response_format


def load(response_format: str) -> ModuleType:
    """The module `av`, imported when it is first needed. Raises CodecMissing."""
    try:
        return import_module("av")
    except ImportError as error:
        raise CodecMissing(response_format, error) from error

"""What commands have in common: exit codes, mistakes in what was typed, and files that are to be written in the end."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

OK, FAILED, USAGE, UNSOUND, INTERRUPTED = 0, 1, 2, 3, 130
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
"""What a command registers itself with."""


class UsageError(Exception):
    """Something in the command cannot be done; the message says what and what would do."""


def json_writer(path: Path | None) -> Callable[[object], object]:
    """A function that writes the file. The place is tried now: the end is a bad time to learn that it is not there."""
    check_writable("--json", path)
    if path is None:
        return lambda data: None
    return lambda data: path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def check_writable(option: str, path: Path | None) -> None:
    if path is None:
        return
    try:
        path.open("a").close()
    except OSError as error:
        raise UsageError(f"{option} {str(path)!r}: {error.strerror}; name a file in a folder that exists") from None

"""Traces: a record as a file, to be looked at, kept, and judged again without the target."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

from harness.record import Record, TraceError


def save(record: Record, folder: Path) -> Path:
    """Write one record into the folder. Raises OSError."""
    loops = "-".join(loop for loop in record.loops.to_json().values() if loop)
    name = "_".join((record.target, record.scenario.replace("/", "."), record.variant, loops))
    plain = re.sub(r"[^\w.=-]+", "-", name, flags=re.ASCII)[-150:]  # a file name holds 255 bytes
    path = folder / f"{plain}_{crc32(name.encode()):08x}.json"  # and what is left of two names may be the same
    path.write_text(json.dumps(record.to_json(), ensure_ascii=False), encoding="utf-8")
    return path


def load(path: Path) -> Record:
    """Read one record. Raises TraceError."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise TraceError(f"trace {path}: {error}") from None
    try:
        return Record.from_json(data)
    except TraceError as error:
        raise TraceError(f"trace {path}: {error}") from None


def find(places: Iterator[Path] | list[Path]) -> list[Path]:
    """The trace files that these files and folders name. Raises TraceError."""
    found: list[Path] = []
    for place in places:
        files = sorted(place.glob("*.json")) if place.is_dir() else [place]
        if not files:
            raise TraceError(f"trace {place}: there is no .json file in this folder")
        found += files
    return found

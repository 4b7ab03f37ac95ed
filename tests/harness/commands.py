"""The `streamproof` command as a process of its own, and what it leaves behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

from harness.scenario import HOME

GUARD = 240.0
"""Seconds after which a command that never ends fails its test."""
COMMAND = [sys.executable, "-P", "-m", "harness.cli"]
REFERENCE = "from harness.proxies.reference import *\n"
ONE = "upstream=asyncio,target=asyncio,client=asyncio"


def environment(**more: str) -> dict[str, str]:
    """Ours, without what pytest has set for us; our packages are found from anywhere."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    return {**plain, "PYTHONPATH": str(HOME.parent), **more}


def streamproof(*words: str | Path, cwd: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [*COMMAND, *map(str, words)],
        cwd=cwd,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=GUARD,
        check=False,
    )


def run(folder: Path, *words: str | Path, **more: Any) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """`streamproof run` in a folder, and the JSON that it wrote."""
    report = folder / "report.json"
    report.unlink(missing_ok=True)
    done = streamproof("run", "--json", report, *words, cwd=more.pop("cwd", folder), **more)
    return done, json.loads(report.read_text())


def verdicts(report: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Name, loops and verdict of each result."""
    return [
        (f"{row['scenario']}[{row['variant']}]", "/".join(map(str, row["loops"].values())), row["verdict"])
        for row in report["results"]
    ]


def write(folder: Path, code: str, name: str = "gateway.py") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(code))
    return path


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found

"""Two proxy libraries that nobody here wrote, one known to be bad, one to be good: streamproof must say just that.

Each lives in an environment of its own, `tox -e real-asgi-proxy-lib` and `tox -e real-fastapi-proxy-lib`; elsewhere
these tests are skipped. They assert every verdict on every variant. Most of a failing verdict is waiting, so the
bad library runs on two pairings, each loop with itself, instead of all four: what could differ is the loop that
the library is on. Nothing is decided by how long it takes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from harness.loops import parse_loops
from harness.scenario import load_scenarios

HOME = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Library:
    """A library, and what is wrong with it: scenario → the kind of its finding, and the variants that fail."""

    name: str
    module: str
    example: str
    fails: Mapping[str, tuple[str, frozenset[str]]] = field(default_factory=dict)

    def verdicts(self) -> dict[tuple[str, str], tuple[str, list[str]]]:
        """(scenario, variant) → verdict and kinds of finding, of everything there is."""
        return {
            (scenario.id, variant): ("fail", [kind]) if variant in variants else ("pass", [])
            for scenario in load_scenarios().values()
            if not scenario.slow
            for kind, variants in (self.fails.get(scenario.id, ("", frozenset())),)
            for variant in scenario.variants
        }


ASGI_PROXY_LIB = Library(
    "asgi-proxy-lib==0.2a0",
    "asgi_proxy",
    "asgi_proxy_lib",
    {
        # Once it has the request's body it never calls `receive` again, and `send` to a client that is gone does
        # nothing: it waits for a silent upstream, and takes all that an active one sends.
        "disconnect/active_upstream": ("drained all", frozenset({"reset", "fin"})),
        "disconnect/silent_upstream": ("deaf", frozenset({"reset", "fin"})),
        # Whatever goes wrong while it reads the body, it takes for a client that left, and ends the response in good
        # order. Not so where the head has promised a length ("short"): there the server, hypercorn, refuses to end.
        "truncation/cut_is_an_error": ("masked", frozenset({"fin", "reset", "malformed", "after-head"})),
    },
)
FASTAPI_PROXY_LIB = Library("fastapi-proxy-lib==0.3.0", "fastapi_proxy_lib", "fastapi_proxy_lib")
RUNS = [(ASGI_PROXY_LIB, "asyncio"), (ASGI_PROXY_LIB, "trio"), (FASTAPI_PROXY_LIB, "asyncio,trio")]


def streamproof(target: str, loops: str, report: Path) -> tuple[int, dict[str, Any]]:
    """The command as a user gives it, in this environment: its exit code and its report."""
    command = str(Path(sys.executable).with_name("streamproof"))
    # Where an HTTP proxy is configured, httpx would look for our upstream behind it.
    direct = dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost")
    words = [command, "run", "--target", target, "--loops", loops, "--json", str(report)]
    code = subprocess.run(words, cwd=HOME, env={**os.environ, **direct}, check=False).returncode
    return code, json.loads(report.read_text())


@pytest.mark.parametrize(("library", "loops"), RUNS, ids=lambda value: getattr(value, "name", value))
def test_just_the_known_claims_fail(library: Library, loops: str, tmp_path: Path) -> None:
    if find_spec(library.module) is None:
        pytest.skip(f"{library.name} is not installed here; it is in tox -e real-{library.name.partition('==')[0]}")
    target = f"app:examples/{library.example}.py:build"
    code, report = streamproof(target, loops, tmp_path / "report.json")
    reached: dict[str, dict[tuple[str, str], tuple[str, list[str]]]] = {}
    for result in report["results"]:
        verdicts = reached.setdefault(json.dumps(result["loops"]), {})
        name = (result["scenario"], result["variant"])
        assert name not in verdicts, "one verdict each"
        verdicts[name] = (result["verdict"], [finding["kind"] for finding in result["findings"]])
    for verdicts in reached.values():
        assert verdicts == library.verdicts()
    assert set(reached) == {json.dumps(pairing.to_json()) for pairing in parse_loops(loops)}
    assert code == report["exit_code"] == (1 if library.fails else 0)


def test_what_is_known_to_fail_exists() -> None:
    for library, _ in RUNS:
        for scenario, (_, variants) in library.fails.items():
            assert variants <= set(load_scenarios()[scenario].variants)

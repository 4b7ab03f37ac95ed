"""Two proxy libraries that nobody here wrote, one known to be bad, one to be good: streamproof must say just that.

Each lives in an environment of its own, `tox -e real-asgi-proxy-lib` and `tox -e real-fastapi-proxy-lib`; elsewhere
these tests are skipped. Every verdict is asserted, and none is decided by how long it takes. Most of a failing verdict
is waiting (10 s, where an upstream is never let go), so this keeps to what could differ: each variant runs with the
library on asyncio and on trio, but clients leave by RST on the one and by FIN on the other.
`streamproof run --target app:examples/asgi_proxy_lib.py:build` is the whole of it, in some minutes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from harness.scenario import load_scenarios

HOME = Path(__file__).resolve().parents[2]
LEAVES = frozenset({"reset", "fin"})
LEFT_OUT = {"asyncio": "fin", "trio": "reset"}
"""The variant of the disconnect scenarios that is not run on a loop."""
Verdicts = dict[tuple[str, str], tuple[str, list[str]]]
"""(scenario, variant) → verdict, and the kinds of finding if it fails."""


@dataclass(frozen=True)
class Library:
    """A library, and what is wrong with it: scenario → the kind of its finding, and the variants that fail."""

    name: str
    module: str
    example: str
    fails: Mapping[str, tuple[str, frozenset[str]]]
    exit_code: int

    def verdicts(self, loop: str) -> Verdicts:
        return {
            (scenario.id, variant): ("fail", [kind]) if variant in variants else ("pass", [])
            for scenario in load_scenarios().values()
            if not scenario.slow
            for kind, variants in (self.fails.get(scenario.id, ("", frozenset())),)
            for variant in scenario.variants
            if not (scenario.id.startswith("disconnect/") and variant == LEFT_OUT[loop])
        }


ASGI_PROXY_LIB = Library(
    "asgi-proxy-lib==0.2a0",
    "asgi_proxy",
    "asgi_proxy_lib",
    {
        # Once it has the request's body it never calls `receive` again, and `send` to a client that is gone does
        # nothing: it waits for a silent upstream, whatever has come before, and takes all that an active one sends.
        "disconnect/active_upstream": ("drained all", LEAVES),
        "disconnect/after_headers": ("deaf", LEAVES),
        "disconnect/before_headers": ("deaf", LEAVES),
        "disconnect/silent_upstream": ("deaf", LEAVES),
        "closure/abandoned_before_body": ("deaf", LEAVES),
        # Whatever goes wrong while it reads the body, it takes for a client that left, and ends the response in good
        # order. Not so where the head has promised a length ("short"): there the server, hypercorn, refuses to end.
        "truncation/cut_is_an_error": ("masked", frozenset({"fin", "reset", "malformed", "after-head"})),
    },
    exit_code=1,
)
FASTAPI_PROXY_LIB = Library(
    "fastapi-proxy-lib==0.3.0",
    "fastapi_proxy_lib",
    "fastapi_proxy_lib",
    {
        # It awaits the upstream's head in the handler, and Starlette watches the client only once there is a response.
        # The claim is a desired one.
        "disconnect/before_headers": ("deaf", LEAVES),
    },
    exit_code=0,
)
LIBRARIES = (ASGI_PROXY_LIB, FASTAPI_PROXY_LIB)


def streamproof(*words: str, report: Path) -> tuple[int, dict[str, Any]]:
    """The command as a user gives it, in this environment: its exit code and its report."""
    command = [str(Path(sys.executable).with_name("streamproof")), *words, "--json", str(report)]
    # Where an HTTP proxy is configured, httpx would look for our upstream behind it.
    direct = dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost")
    code = subprocess.run(command, cwd=HOME, env={**os.environ, **direct}, check=False).returncode
    return code, json.loads(report.read_text())


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.name)
def test_just_the_known_claims_fail(library: Library, loop: str, tmp_path: Path) -> None:
    if find_spec(library.module) is None:
        pytest.skip(f"{library.name} is not installed here; it is in tox -e real-{library.name.partition('==')[0]}")
    target, select = f"app:examples/{library.example}.py:build", f"not (disconnect and [{LEFT_OUT[loop]}])"
    words = ("run", "--target", target, "--loops", loop, "-k", select)
    code, report = streamproof(*words, report=tmp_path / "report.json")
    reached: Verdicts = {}
    for result in report["results"]:
        name = (result["scenario"], result["variant"])
        assert result["loops"] == {"upstream": loop, "target": loop, "client": loop}
        assert name not in reached, "one verdict each"
        kinds = [finding.get("kind", "") for finding in result["findings"]]
        reached[name] = (result["verdict"], kinds if result["verdict"] == "fail" else [])
    assert reached == library.verdicts(loop)
    assert code == report["exit_code"] == library.exit_code


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.name)
def test_what_is_known_to_fail_exists(library: Library) -> None:
    for scenario, (_, variants) in library.fails.items():
        assert variants <= set(load_scenarios()[scenario].variants)

"""uvicorn 0.32.0 says ASGI 2.4, by which `send` fails once the client has left, and then `send` does not fail.

Starlette takes its word and watches no longer itself; 0.32.1 says 2.3 again (Kludex/uvicorn#2513). The app is the same.

Each lives in an environment of its own, `tox -e real-uvicorn-0.32.0` and `tox -e real-uvicorn-0.32.1`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parents[2]
DEAF = {
    "closure/abandoned_before_body",
    "disconnect/active_upstream",
    "disconnect/after_headers",
    "disconnect/silent_upstream",
}
FAILS = {"0.32.0": DEAF, "0.32.1": set[str]()}


def installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def test_just_the_disconnect_claims_tell_the_two_apart(tmp_path: Path) -> None:
    if installed("starlette") != "0.46.2" or installed("uvicorn") not in FAILS:
        pytest.skip(
            "needs starlette 0.46.2 and uvicorn 0.32.0 or 0.32.1: tox -e real-uvicorn-0.32.0,real-uvicorn-0.32.1"
        )
    report = tmp_path / "report.json"
    command = [str(Path(sys.executable).with_name("streamproof")), "run", "--server", "uvicorn", "--loops", "asyncio"]
    command += ["--target", "app:examples/starlette_proxy.py:build", "--json", str(report)]
    direct = dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost")
    subprocess.run(command, cwd=HOME, env={**os.environ, **direct}, check=False)
    results = json.loads(report.read_text())["results"]
    required = [result for result in results if result["kind"] == "required"]
    failed = {result["scenario"] for result in required if result["verdict"] == "fail"}
    assert failed == FAILS[installed("uvicorn")]
    assert {r["verdict"] for r in required if r["scenario"] in failed} <= {"fail"}, "every variant of these fails"
    assert {r["verdict"] for r in required if r["scenario"] not in failed} == {"pass"}

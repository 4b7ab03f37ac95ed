"""The examples of docs/deferred-streams.md, pasted into an empty folder: they run, on both loops, and they bite."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.deferred import CLAUSES

HOME = Path(__file__).resolve().parent.parent
GUIDE = (HOME / "docs" / "deferred-streams.md").read_text(encoding="utf-8")
GATEWAYS_OWN = "def build(upstream_url): ...  # the gateway"
GUARD = 300.0
"""Seconds after which a process that hangs is ended; nothing is decided by it."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    adapter, contract, gateway, ledger = re.findall(r"^```python\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    (tmp_path / "speech.py").write_text(adapter, encoding="utf-8")
    (tmp_path / "test_contract.py").write_text(contract, encoding="utf-8")
    proxy = "from harness.proxies.reference import build"
    assert GATEWAYS_OWN in gateway
    (tmp_path / "gateway.py").write_text(gateway.replace(GATEWAYS_OWN, proxy), encoding="utf-8")
    (tmp_path / "test_ledger.py").write_text(ledger, encoding="utf-8")
    return tmp_path


def run_pytest(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    strict = ("-W", "error::ResourceWarning", "-W", "error::pytest.PytestUnraisableExceptionWarning")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *strict, *words],
        cwd=folder, env=env, capture_output=True, text=True, timeout=GUARD, check=False,
    )  # fmt: skip


def test_the_examples_pass_as_they_stand_on_both_loops(project: Path) -> None:
    done = run_pytest(project, "-v")
    assert done.returncode == 0, done.stdout + done.stderr
    for loop in ("asyncio", "trio"):
        assert f"test_speech_is_a_deferred_stream[{loop}] PASSED" in done.stdout
        assert f"test_one_open_one_close_same_task_nothing_left[{loop}] PASSED" in done.stdout


def test_the_gateway_s_stream_is_judged_in_a_run(project: Path) -> None:
    done = run_streamproof(project)
    assert (done.returncode, done.stdout.count("1 pass")) == (0, 4), done.stdout + done.stderr
    (project / "speech.py").write_text(
        (project / "speech.py").read_text().replace("response.raise_for_status()", "pass")
    )
    done = run_streamproof(project)
    assert (done.returncode, done.stdout.count("1 fail")) == (1, 4), done.stdout + done.stderr


def run_streamproof(folder: Path) -> subprocess.CompletedProcess[str]:
    command = ["run", "--target", "app:gateway:build", "-k", "closure/deferred_stream"]
    return subprocess.run(
        [sys.executable, "-P", "-m", "harness.cli", *command],
        cwd=folder, capture_output=True, text=True, timeout=GUARD, check=False,
    )  # fmt: skip


def test_the_readmes_example_works_when_pasted(tmp_path: Path) -> None:
    readme = (HOME / "README.md").read_text(encoding="utf-8")
    (example,) = (b for b in re.findall(r"^```python\n(.*?)^```", readme, re.MULTILINE | re.DOTALL) if "deferred" in b)
    (adapter, *_) = re.findall(r"^```python\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    (tmp_path / "speech.py").write_text(adapter, encoding="utf-8")
    (tmp_path / "test_speech.py").write_text(example, encoding="utf-8")
    done = run_pytest(tmp_path, "-v")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_the_examples_bite(project: Path) -> None:
    """The same adapter with its response opened as before `async with` was known, and never closed."""
    adapter = (project / "speech.py").read_text(encoding="utf-8")
    call = 'async with http.stream("POST", f"{url}/audio/speech", json=body) as response:'
    assert call in adapter
    opened = 'response = await http.send(http.build_request("POST", f"{url}/audio/speech", json=body), stream=True)'
    (project / "speech.py").write_text(adapter.replace(call, f"{opened}\n    if True:"), encoding="utf-8")
    done = run_pytest(project, "-k", "deferred and asyncio")
    assert done.returncode == 1
    assert "closed_by_aclose: It is closed exactly once by aclose() in the middle." in done.stdout
    assert "was entered at speech.py:8 by task" in done.stdout
    assert "and never exited, after 1 pull" in done.stdout


def test_the_guide_has_every_clause_in_its_words() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", GUIDE, re.MULTILINE))
    assert rows == CLAUSES

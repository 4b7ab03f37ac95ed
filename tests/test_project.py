"""A gateway project with its own settings, its own `harness` and `scenarios`, uses the fixture and is not disturbed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import pytest

HOME = Path(__file__).resolve().parent.parent


def run_pytest(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """pytest as the project's people call it: streamproof is known by its entry point only."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        [sys.executable, "-P", "-m", "pytest", "-p", "no:cacheprovider", *words],
        cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return Path(shutil.copytree(HOME / "examples" / "project", tmp_path / "project"))


def test_the_project_passes_as_it_stands(project: Path) -> None:
    done = run_pytest(project, "-rA")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "8 passed" in done.stdout


def test_it_passes_on_several_workers(project: Path) -> None:
    if find_spec("xdist") is None:
        pytest.skip("pytest-xdist is not installed here; it is in the extra `dev`")
    done = run_pytest(project, "-n", "2")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_gateway_that_buffers_fails_with_the_whole_story(project: Path) -> None:
    gateway = project / "voicegate.py"
    text = gateway.read_text()
    assert "async for chunk in chunks:" in text
    gateway.write_text(
        text.replace("async for chunk in chunks:", "for chunk in [b''.join([part async for part in chunks])]:")
    )
    done = run_pytest(project, "-k", "lockstep", "--junitxml=report.xml")
    assert done.returncode == 1
    assert "FAIL  delivery/lockstep[chunked-512]" in done.stdout
    assert "expected  512 bytes at the client after chunk 0" in done.stdout
    failure = ElementTree.parse(project / "report.xml").getroot().find(".//failure")
    assert failure is not None
    assert "the proxy holds 512" in (failure.text or "")


def test_a_project_that_does_not_use_the_fixture_loads_nothing_of_ours(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import sys\n\ndef test_it():\n    assert not {'harness', 'fake_upstream', 'scenarios'} & set(sys.modules)\n"
    )
    done = run_pytest(tmp_path)
    assert done.returncode == 0, done.stdout


def test_junit_has_the_names_that_people_see(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    words = ["run", "--target", "specimen:regroups_8k", "-k", "lockstep and chunked-512 or one_request"]
    command = [sys.executable, "-P", "-m", "harness.cli", *words, "--loops", "asyncio", "--junit", str(report)]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(HOME)}, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr
    cases = {case.attrib["name"]: case for case in ElementTree.parse(report).getroot().iter("testcase")}
    assert set(cases) == {"delivery/lockstep[chunked-512]", "closure/one_request[success]"}
    failure = cases["delivery/lockstep[chunked-512]"].find("failure")
    assert failure is not None
    assert "rerun     streamproof run --target specimen:regroups_8k" in (failure.text or "")
    assert cases["closure/one_request[success]"].find("failure") is None

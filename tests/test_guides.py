"""The guides, followed to the letter on a copy of the packages: what they have one write works as they say."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

import httpx
import pytest

HOME = Path(__file__).resolve().parent.parent
GUARD = 300.0
"""Seconds after which a process that hangs is ended. Never a threshold: none of these takes a tenth of it."""


def blocks(guide: str) -> list[str]:
    """The Python blocks of a guide, without the indentation of the list that they stand in."""
    text = (HOME / "docs" / guide).read_text(encoding="utf-8")
    found = re.findall(r"^( *)```python\n(.*?)^\1```", text, re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(block) for _, block in found]


def copy(to: Path, *packages: str) -> Path:
    for package in packages:
        shutil.copytree(HOME / package, to / package, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    return to


def insert(path: Path, after: str, text: str) -> None:
    """Put `text` behind the one place where `after` stands."""
    whole = path.read_text(encoding="utf-8")
    assert whole.count(after) == 1, f"{path.name}: {after!r} stands there {whole.count(after)} times"
    path.write_text(whole.replace(after, after + text), encoding="utf-8")


def _environment(home: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(home), "PYTHONDONTWRITEBYTECODE": "1"}


@contextmanager
def by_hand(home: Path, *arguments: str) -> Iterator[str]:
    """The speech URL of `python -m fake_upstream` of a copy, in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "fake_upstream", *arguments],
        cwd=home,
        env=_environment(home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    guard = Timer(GUARD, process.kill)
    guard.start()
    try:
        with process:
            try:
                assert process.stdout
                found = re.search(r"http://\S+/v1", process.stdout.readline())
                assert found, "it ended before it served"
                yield found[0]
            finally:
                process.kill()
    finally:
        guard.cancel()


def ask(url: str, text: str, **fields: str) -> httpx.Response:
    body = {"model": "tts-1", "voice": "alloy", "input": text, **fields}
    return httpx.post(f"{url}/audio/speech", json=body, trust_env=False, timeout=GUARD)


def test_adding_a_fault(tmp_path: Path, loop: str) -> None:
    home = copy(tmp_path, "fake_upstream")
    fault, word = blocks("adding-a-fault.md")
    with (home / "fake_upstream" / "faults.py").open("a", encoding="utf-8") as file:
        file.write(f"\n\n{fault}")
    head = "WORDS: dict[str, Callable[[Script, str], Script]] = {\n"
    insert(home / "fake_upstream" / "hand_script.py", head, textwrap.indent(word, "    "))
    (example,) = re.findall(r"`(\[\[.*?\]\])`", (HOME / "docs" / "adding-a-fault.md").read_text(encoding="utf-8"))
    with by_hand(home, "--loop", loop) as url:
        answer = ask(url, f"Hello. {example}")
        assert (answer.status_code, len(answer.content)) == (200, 400), answer.text
        assert "repeat_tail" in ask(url, "Hello. [[no_word=1]]").text
    with by_hand(HOME, "--loop", loop) as url:  # and it is the copy that knows it
        assert ask(url, f"Hello. {example}").status_code == 400


def streamproof(home: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and output of the command of a copy."""
    done = subprocess.run(
        [sys.executable, "-m", "harness.cli", *arguments],
        cwd=home,
        env=_environment(home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=GUARD,
        check=False,
    )
    return done.returncode, done.stdout


def test_adding_a_scenario(tmp_path: Path) -> None:
    """It passes on the reference, its specimen is caught, and the gate holds once everybody declares what they do."""
    home = copy(tmp_path, "fake_upstream", "harness", "scenarios", "tests/gate", "docs")
    shutil.copy(HOME / "tests" / "conftest.py", home / "tests")
    shutil.copy(HOME / "pyproject.toml", home)
    scenario, specimen, declares = blocks("adding-a-scenario.md")
    assert len(scenario.splitlines()) < 40
    (home / "scenarios" / "fidelity" / "project.py").write_text(scenario, encoding="utf-8")
    (home / "harness" / "specimens" / "forgets_project.py").write_text(specimen, encoding="utf-8")

    good = streamproof(home, "run", "--strict", "-k", "fidelity/project")
    assert good[0] == 0, good[1]
    assert "4 verdicts: 4 pass" in good[1]
    words = ("--strict", "-k", "fidelity/project", "--target", "specimen:forgets_project")
    bad = streamproof(home, "run", *words)
    assert bad[0] == 1, bad[1]
    assert "4 verdicts: 0 pass · 4 fail" in bad[1]

    code, output = gate(home)
    assert code == 1, output
    failed = re.findall(r"^FAILED \S*?\[(\S*?)\]", output, re.MULTILINE)
    assert failed == [f"drops_fields-fidelity/project-{loop}" for loop in ("asyncio", "trio")]
    drops_fields = home / "harness" / "specimens" / "drops_fields.py"
    text = drops_fields.read_text(encoding="utf-8")
    drops_fields.write_text(re.sub(r"^CATCHES = .*\n", declares, text, count=1, flags=re.MULTILINE), encoding="utf-8")
    code, output = gate(home)
    assert code == 0, output

    subprocess.run(
        [sys.executable, "-m", "harness.catalogue"], cwd=home, env=_environment(home), timeout=GUARD, check=True
    )
    page = (home / "docs" / "catalogue.md").read_text(encoding="utf-8")
    assert "### fidelity/project\n" in page
    assert "- Catches: [drops_fields](../harness/specimens/drops_fields.py), [forgets_project]" in page
    assert "the upstream's request is built from its body alone" in streamproof(home, "explain", "fidelity/project")[1]
    assert not list(HOME.glob("scenarios/**/project.py"))


def gate(home: Path) -> tuple[int, str]:
    """Exit code and output of the matrix of a copy, for the new scenario alone."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/gate", "-k", "fidelity/project"],
        cwd=home,
        env={k: v for k, v in _environment(home).items() if not k.startswith("PYTEST_")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=GUARD,
        check=False,
    )
    return done.returncode, done.stdout


def test_adding_a_format(tmp_path: Path, loop: str) -> None:
    """The answer is of that type and begins as that audio does; the schema knows it once it is written anew."""
    pytest.importorskip("av", exc_type=ImportError)
    home = copy(tmp_path, "fake_upstream")
    (row,) = blocks("adding-a-format.md")
    insert(home / "fake_upstream" / "formats.py", "FORMATS: dict[str, Format] = {\n", textwrap.indent(row, "    "))
    schema = home / "fake_upstream" / "script.schema.json"
    assert "mp2" not in schema.read_text(encoding="utf-8")
    command = [sys.executable, "-m", "fake_upstream.script_schema"]
    subprocess.run(command, cwd=home, env=_environment(home), timeout=GUARD, check=True)
    assert "mp2" in schema.read_text(encoding="utf-8")
    with by_hand(home, "--loop", loop) as url:
        answer = ask(url, "Hello. [[every=0]]", response_format="mp2")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/mpeg"), answer.text
        assert (answer.content[0], answer.content[1] & 0xF0) == (0xFF, 0xF0)
        refused = ask(url, "Hello.", response_format="mp7")
        assert (refused.status_code, "mp2" in refused.text) == (400, True)


@pytest.mark.parametrize("guide", sorted(path.name for path in (HOME / "docs").glob("adding-*.md")))
def test_every_guide_is_followed_here(guide: str) -> None:
    name = guide.removesuffix(".md").replace("-", "_")
    assert f"test_{name}" in globals()


def test_adding_a_target(tmp_path: Path) -> None:
    """Its gateway reads the whole body first: that bites, and what it does right passes."""
    text = (HOME / "docs" / "adding-a-target.md").read_text(encoding="utf-8")
    (preset,) = re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (tmp_path / "gateway.toml").write_text(preset, encoding="utf-8")
    select = "lockstep and chunked-512 or one_request"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "harness.cli", "run", "--target", "gateway.toml", "-k", select),
            *("--loops", "asyncio", "--json", "report.json"),
        ],
        cwd=tmp_path,
        env=_environment(HOME),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=GUARD,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert {(r["target"], r["scenario"], r["verdict"]) for r in report["results"]} == {
        ("gateway.toml/speech", "closure/one_request", "pass"),
        ("gateway.toml/speech", "delivery/lockstep", "fail"),
    }
    assert {r["loops"]["target"] for r in report["results"]} == {None}

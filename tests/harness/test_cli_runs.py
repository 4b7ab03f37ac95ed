"""Whole runs of the command, small ones: verdicts, exit codes, reports, traces, and lines that run again."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders import at_client, conversation, exchange, pairing, record, script_of, up, wait
from commands import GUARD, ONE, REFERENCE, environment, run, streamproof, verdicts, write

from harness.cli import main
from harness.record import Record
from harness.scenario import HOME
from harness.trace import save


def test_a_run_of_the_reference_with_all_its_reports(tmp_path: Path) -> None:
    done, report = run(
        tmp_path, "-k", "one_request or (cut_is_an_error and reset)", "--trace", "traces", "--junit", "report.xml"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[1].startswith("reference ")
    assert re.fullmatch(r"closure/one_request +required +1 pass +1 pass +1 pass +1 pass", lines[5])
    assert re.fullmatch(r"truncation/cut_is_an_error +required +1 pass +1 pass +1 pass +1 pass", lines[6])
    assert re.fullmatch(r"8 verdicts: 8 pass · 0 fail in \d+\.\d s: every claim that counts holds", lines[-1])
    assert {verdict for *_, verdict in verdicts(report)} == {"pass"}
    assert len({loops for _, loops, _ in verdicts(report)}) == 4
    assert (report["exit_code"], report["summary"]["pass"]) == (0, 8)
    assert len(list((tmp_path / "traces").glob("*.json"))) == 8
    assert 'tests="8"' in (tmp_path / "report.xml").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.json", "report.xml", "traces"], "and no litter"


Failing = tuple[Path, subprocess.CompletedProcess[str], dict[str, Any]]


@pytest.fixture(scope="module")
def failing(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, subprocess.CompletedProcess[str], dict[str, object]]:
    """A specimen whose defect shows at once, with traces."""
    folder = tmp_path_factory.mktemp("failing")
    words = ("--target", "specimen:masks_cut", "-k", "truncation and (reset or fin)", "--loops", ONE)
    done, report = run(folder, *words, "--trace", folder / "traces")
    return folder, done, report


def test_a_claim_that_does_not_hold_is_exit_code_1_with_its_whole_story(failing: Failing) -> None:
    _, done, report = failing
    assert done.returncode == report["exit_code"] == 1
    assert (
        "FAIL  truncation/cut_is_an_error[fin]   upstream on asyncio, proxy on asyncio, client on asyncio\n"
        in done.stdout
    )
    assert "  actual    the response ended (status 200, 3,000 bytes), as if that were all\n" in done.stdout
    assert "  also      truncation/cut_is_an_error[reset]\n" in done.stdout
    assert done.stdout.rstrip().endswith("a claim that counts does not hold")
    failed = [row for row in report["results"] if row["verdict"] == "fail"]
    assert {row["scenario"] for row in failed} == {"truncation/cut_is_an_error"}
    assert all(row["findings"][0]["kind"] == "masked" for row in failed)


def test_traces_judged_again_give_the_same_verdicts_without_the_target(failing: Failing) -> None:
    folder, done, report = failing
    again = folder / "again.json"
    judged = streamproof("judge", folder / "traces", "--json", again)
    assert judged.returncode == done.returncode

    selected = {row["scenario"] for row in report["results"]}

    def essence(data: dict[str, Any]) -> list[str]:
        """Of what was selected: a trace is judged by all who share it."""
        rows = [row for row in data["results"] if row["scenario"] in selected]
        return sorted(json.dumps({**row, "target": ""}, sort_keys=True) for row in rows)

    second = json.loads(again.read_text())
    assert essence(second) == essence(report)
    assert second["summary"]["fail"] == report["summary"]["fail"] == 2
    assert [row["target"] for row in second["results"]] == ["specimen:masks_cut"] * len(second["results"])
    fails = [line for line in done.stdout.splitlines() if line.startswith(("FAIL", "  also", "  rerun"))]
    assert [line for line in judged.stdout.splitlines() if line.startswith(("FAIL", "  also", "  rerun"))] == fails


def test_a_rerun_line_works_as_it_is_printed(failing: Failing, tmp_path: Path) -> None:
    """Pasted into a shell, it runs that one result, and nothing else."""
    _, done, _ = failing
    (line,) = re.findall(r"^  rerun     (streamproof run .*)$", done.stdout, re.MULTILINE)
    program = tmp_path / "streamproof"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m harness.cli "$@"\n')
    program.chmod(0o755)
    env = environment()
    env["PATH"] = f"{tmp_path}:{env['PATH']}"
    again = subprocess.run(
        line, shell=True, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=GUARD, check=False
    )
    assert again.returncode == 1, again.stdout + again.stderr
    assert "\n1 verdict: 0 pass · 1 fail in " in again.stdout
    assert f"  rerun     {line}\n" in again.stdout


def test_an_app_that_raises_at_start_could_not_be_judged_and_says_why_itself(tmp_path: Path) -> None:
    write(tmp_path, "def build(upstream_url):\n    raise RuntimeError('the oven is cold')\n")
    done, report = run(tmp_path, "--target", "app:gateway.py:build", "-k", "one_request", "--quick")
    assert done.returncode == report["exit_code"] == 3
    assert [verdict for *_, verdict in verdicts(report)] == ["unsound"] * 2
    assert "UNSOUND  closure/one_request[success]" in done.stdout
    assert "  the target did not start: the app raised at start:\n" in done.stdout
    assert "    raise RuntimeError('the oven is cold')\n" in done.stdout
    assert done.stdout.rstrip().endswith("nothing failed, but something could not be judged")
    assert "the oven is cold" in report["results"][0]["reason"]


def test_an_app_that_dies_in_the_middle_is_no_failure_and_the_next_one_gets_a_fresh_child(tmp_path: Path) -> None:
    """It dies at its first real request, having said something; every further child behaves."""
    code = f"""
        import os, pathlib
        {REFERENCE}
        class Dies(Proxy):
            async def hand_on(self, stream, send):
                flag = pathlib.Path("died")
                if not flag.exists():
                    flag.touch()
                    await start(send, Head(200, []))
                    print("my last words", flush=True)
                    os._exit(3)
                await super().hand_on(stream, send)
        build = Dies
    """
    write(tmp_path, code)
    select = "body_arrives[512] or one_request or (truncation and reset)"
    done, report = run(tmp_path, "--target", "app:gateway.py:build", "-k", select, "--loops", ONE)
    assert done.returncode == report["exit_code"] == 3, done.stdout + done.stderr
    assert [verdict for *_, verdict in verdicts(report)] == ["unsound", *["pass"] * (len(report["results"]) - 1)]
    assert len(report["results"]) > 3
    said = "the target's process died (exit code 3). It printed last:\n"
    assert report["results"][0]["reason"].startswith(said)
    assert "  my last words\n" in done.stdout
    assert done.stdout.count("UNSOUND") == 1


def test_a_target_that_kills_its_child_harms_no_other_target(tmp_path: Path) -> None:
    """Both would share a child; only the one that dies is not judged."""
    write(tmp_path, "import os\nos._exit(9)\n", "deadly.py")
    done, report = run(
        tmp_path, "--target", "app:deadly.py:build", "--target", "reference", "-k", "one_request", "--loops", ONE
    )
    assert [(row["target"], row["verdict"]) for row in report["results"]] == [
        ("app:deadly.py:build", "unsound"),
        ("reference", "pass"),
    ]
    assert done.returncode == 3
    assert "the target's process died (exit code 9)" in report["results"][0]["reason"]


def test_an_app_that_knows_one_loop_is_skipped_on_the_other(tmp_path: Path) -> None:
    write(
        tmp_path,
        f"{REFERENCE}def build(url):\n    return Proxy(url)\nbuild.loops = 'asyncio'\n".replace("        ", ""),
    )
    done, report = run(tmp_path, "--target", "app:gateway.py:build", "-k", "one_request")
    assert done.returncode == 0, done.stdout + done.stderr
    found = {loops: verdict for _, loops, verdict in verdicts(report)}
    assert found == {
        "asyncio/asyncio/asyncio": "pass",
        "trio/trio/asyncio": "skipped",
        "trio/asyncio/trio": "pass",
        "asyncio/trio/trio": "skipped",
    }
    assert {row.get("reason") for row in report["results"]} == {None, "app:gateway.py:build does not run on trio"}


def test_target_loops_says_it_for_an_app_that_does_not(tmp_path: Path) -> None:
    done, report = run(tmp_path, "-k", "one_request", "--target-loops", "trio")
    assert done.returncode == 0
    assert [verdict for *_, verdict in verdicts(report)] == ["skipped", "pass", "skipped", "pass"]


def test_where_everything_is_skipped_nothing_is_said_to_hold(tmp_path: Path) -> None:
    done, report = run(tmp_path, "-k", "one_request", "--loops", "trio", "--target-loops", "asyncio")
    assert (done.returncode, report["summary"]["skipped"]) == (0, 1)
    assert done.stdout.rstrip().endswith("nothing was judged")


HOSTILE = {
    "conftest.py": """
        import pytest
        def pytest_collection_modifyitems(items): items.clear()
        @pytest.hookimpl(tryfirst=True)
        def pytest_runtest_makereport(item, call): raise SystemExit("the conftest was heard")
    """,
    "pytest.ini": "[pytest]\naddopts = --collect-only -k nothing -x --no-such-option\npython_files = *.py\n",
    "setup.cfg": "[tool:pytest]\naddopts = --collect-only\n",
    "tox.ini": "[pytest]\naddopts = --collect-only\n",
    "pyproject.toml": '[tool.pytest.ini_options]\naddopts = "--collect-only"\n',
    "hostile_plugin.py": "raise SystemExit('the plugin was loaded')\n",
    "harness/__init__.py": "raise SystemExit('the wrong harness')\n",
    "harness/host.py": "raise SystemExit('the wrong host')\n",
    "scenarios/__init__.py": "raise SystemExit('the wrong scenarios')\n",
    "scenarios/truncation/cut_is_an_error.py": "raise SystemExit('the wrong scenario')\n",
    "fake_upstream/__init__.py": "raise SystemExit('the wrong upstream')\n",
}


def test_a_project_that_is_hostile_changes_no_verdict(failing: Failing, tmp_path: Path) -> None:
    """Its conftest, ini files, plugins, environment, and folders that are named as ours are."""
    for name, content in HOSTILE.items():
        write(tmp_path, content, name)
    (tmp_path / "gateway.py").write_text((HOME.parent / "examples" / "gateway.py").read_text())
    before = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*"))
    hostile = {"PYTEST_ADDOPTS": "--collect-only -k nothing", "PYTEST_PLUGINS": "hostile_plugin"}
    select = "truncation and (reset or fin)"
    done, report = run(tmp_path, "--target", "specimen:masks_cut", "-k", select, "--loops", ONE, **hostile)
    _, plain, expected = failing
    assert done.returncode == plain.returncode == 1, done.stdout + done.stderr
    assert verdicts(report) == verdicts(expected)
    done, report = run(tmp_path, "--target", "app:gateway.py:build", "-k", "one_request", "--loops", ONE, **hostile)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [verdict for *_, verdict in verdicts(report)] == ["pass"]
    after = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*"))
    cached = {"__pycache__", *(name for name in after if name.startswith("__pycache__/gateway."))}
    assert set(after) - cached == {*before, "report.json"}, "and nothing of it was compiled or cached"


def letting_go_late(kind: str = "desired") -> Record:
    """A trace of a claim that is desired, and does not hold."""
    script = script_of("closure/one_request")
    left = exchange(script, up(0, "asked"), at_client(5, "left", note="reset"), status=None)
    waits = (wait("saw"), wait("saw", "never"), wait("saw", "never"))
    return record(left, scenario="disconnect/before_headers", variant="reset", waits=waits)


@pytest.mark.parametrize(
    ("records", "words", "code"),
    [
        (["pass"], [], 0),
        (["desired"], [], 0),
        (["desired"], ["--strict"], 1),
        (["unsound"], [], 3),
        (["unsound", "desired"], [], 3),
        (["unsound", "desired"], ["--strict"], 1),
        (["unsound", "fail"], [], 1),
        (["fail", "pass"], [], 1),
    ],
    ids=str,
)
def test_exit_codes(tmp_path: Path, records: list[str], words: list[str], code: int) -> None:
    """1 outranks 3; desired claims count with --strict only. On traces, so that it takes no proxy."""
    good = record(conversation(script_of("closure/one_request")), scenario="closure/one_request", variant="success")
    made = {
        "pass": good,
        "unsound": replace(good, unsound="it did not start"),
        "fail": replace(good, exchanges=(exchange(script_of("closure/one_request")),)),
        "desired": letting_go_late(),
    }
    for number, name in enumerate(records):
        save(replace(made[name], target=f"app:{number}:build"), tmp_path)
    assert main(["judge", str(tmp_path), *words, "--json", str(tmp_path / "report")]) == code
    assert json.loads((tmp_path / "report").read_text())["exit_code"] == code


def test_judge_groups_by_target_and_pairing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = script_of("closure/one_request")
    for target in ("app:a:build", "app:b:build"):
        for loops in (pairing("asyncio", "asyncio", "asyncio"), pairing("trio", None, "trio")):
            save(
                record(
                    conversation(script), scenario="closure/one_request", variant="success", target=target, loops=loops
                ),
                tmp_path,
            )
    done = streamproof("judge", tmp_path)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith("app:")] == ["app:a:build", "app:b:build"]
    assert sum(re.fullmatch(r"closure/one_request +required +1 pass +1 pass", line) is not None for line in lines) == 2
    assert lines[-1].startswith("4 verdicts: 4 pass")


def test_the_other_server(tmp_path: Path) -> None:
    """On asyncio, that is; the rest is skipped. And a failure says under which server it was."""
    pytest.importorskip("uvicorn")
    words = ("--server", "uvicorn", "--target", "specimen:masks_cut", "-k", "one_request or cut_is")
    done, report = run(tmp_path, *words, "--quick")
    assert {(name, loops): verdict for name, loops, verdict in verdicts(report)} == {
        ("closure/one_request[success]", "asyncio/asyncio/asyncio"): "pass",
        ("closure/one_request[success]", "trio/trio/trio"): "skipped",
        ("truncation/cut_is_an_error[fin]", "asyncio/asyncio/asyncio"): "fail",
        ("truncation/cut_is_an_error[fin]", "trio/trio/trio"): "skipped",
    }
    assert done.returncode == 1
    assert f"--loops {ONE} --server uvicorn\n" in done.stdout

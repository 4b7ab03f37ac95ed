"""A proxy that answers 502 to everything: one claim fails, and no other is said to hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import ONE, run, streamproof, verdicts

TARGET = ("--target", "specimen:always_502", "--loops", ONE)


def test_one_claim_fails_and_blocks_the_others(tmp_path: Path) -> None:
    done, report = run(tmp_path, *TARGET)
    assert done.returncode == 1
    assert report["summary"]["fail"] == 1
    assert report["summary"]["blocked"] == len(report["results"]) - 1
    assert verdicts(report)[0] == ("fidelity/answers[plain]", "asyncio/asyncio/asyncio", "fail")
    assert "status 502" in report["results"][1]["reason"]


def test_a_selection_without_that_claim_does_not_pass_either(tmp_path: Path) -> None:
    """What was not asked for is not reported; what it means is."""
    done, report = run(tmp_path, *TARGET, "-k", "truncation/no_hang", "--trace", "traces")
    assert done.returncode == 3
    assert {row["scenario"] for row in report["results"]} == {"truncation/no_hang"}
    assert report["summary"]["blocked"] == len(report["results"])
    assert "BLOCKED  truncation/no_hang[fin]" in done.stdout
    assert "fidelity/answers failed, without which this means nothing: the response ended (status 502," in done.stdout
    again = streamproof("judge", "traces", cwd=tmp_path)
    assert again.returncode == 1
    assert "FAIL  fidelity/answers[plain]" in again.stdout


def test_the_fixture_says_so_too(tmp_path: Path) -> None:
    from harness.inside import Streamproof

    with Streamproof() as inside:
        results = inside.run("specimen:always_502", "truncation", loops="asyncio")
        assert {result.verdict for result in results} == {"blocked"}
        with pytest.raises(AssertionError) as error:
            inside.check("specimen:always_502", "truncation/no_hang", loops="asyncio")
    assert "BLOCKED  truncation/no_hang[fin]" in str(error.value)

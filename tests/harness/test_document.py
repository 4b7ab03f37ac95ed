"""The JSON that other programs read: schema 1, as the architecture's contract has it."""

from __future__ import annotations

import json
from typing import Any

from builders import blocked_lockstep, conversation, pairing, record, result

from harness.report.document import document
from harness.scenario import load_scenarios
from harness.target import Target
from harness.verdict import Finding, Metric, Result, judged

TARGETS = (
    Target("reference", "harness.proxies.reference:build", "0.1.0"),
    Target("app:gateway:build", "gateway:build"),
)


def written(results: list[Result], code: int = 0) -> dict[str, Any]:
    """The document after a journey through text."""
    data: dict[str, Any] = json.loads(json.dumps(document(TARGETS, results, code)))
    return data


def test_the_whole_shape() -> None:
    scenario = load_scenarios()["delivery/lockstep"]
    failed = judged(scenario.claim, scenario.kind, scenario.id, scenario.judge, blocked_lockstep())
    assert written([failed, result("pass", target="reference")], 1) == {
        "schema": 1,
        "targets": [{"name": "reference", "version": "0.1.0"}, {"name": "app:gateway:build"}],
        "results": [
            {
                "target": "app:gateway:build",
                "scenario": "delivery/lockstep",
                "variant": "chunked-512",
                "kind": "required",
                "loops": {"upstream": "asyncio", "target": "trio", "client": "asyncio"},
                "verdict": "fail",
                "expected": False,
                "staged": True,
                "findings": [
                    {
                        "claim": "The client holds each chunk before the upstream sends the next.",
                        "expected": "512 bytes at the client after chunk 0",
                        "actual": "0 bytes; the proxy holds 512 (headers withheld too); "
                        "they came once the upstream had gone on",
                        "kind": "blocked",
                    }
                ],
                "metrics": {},
            },
            {
                "target": "reference",
                "scenario": "delivery/lockstep",
                "variant": "chunked-512",
                "kind": "required",
                "loops": {"upstream": "asyncio", "target": "trio", "client": "asyncio"},
                "verdict": "pass",
                "expected": False,
                "staged": True,
                "findings": [],
                "metrics": {},
            },
        ],
        "summary": {"pass": 1, "fail": 1, "unsound": 0, "blocked": 0, "skipped": 0},
        "exit_code": 1,
    }


def test_a_target_without_a_version_has_none() -> None:
    assert "version" not in written([])["targets"][1]


def test_a_target_that_is_not_ours_runs_on_null() -> None:
    (row,) = written([result(loops=pairing("trio", None, "asyncio"))])["results"]
    assert row["loops"] == {"upstream": "trio", "target": None, "client": "asyncio"}


def test_numbers_are_under_their_names_and_absent_if_they_were_not_measured() -> None:
    measured = judged("A claim.", "required", "a/b", lambda r: [Metric("latency_ms", 0.0)], record(conversation()))
    assert [row["metrics"] for row in written([measured, result()])["results"]] == [{"latency_ms": 0.0}, {}]


def test_a_finding_without_a_class_has_no_kind() -> None:
    (row,) = written([result("fail", findings=(Finding("bread", "stones", "a hint"),))])["results"]
    assert row["findings"] == [
        {
            "claim": "The client holds each chunk before the upstream sends the next.",
            "expected": "bread",
            "actual": "stones",
        }
    ]


def test_why_something_was_not_judged_is_said() -> None:
    rows = written([result("unsound", reason="it died"), result("skipped", reason="not on trio"), result()])["results"]
    assert [row.get("reason") for row in rows] == ["it died", "not on trio", None]


def test_the_results_may_come_from_an_iterator() -> None:
    data = document(TARGETS, iter([result(), result("fail")]), 1)
    assert (len(data["results"]), data["summary"]["fail"]) == (2, 1)

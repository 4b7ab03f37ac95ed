"""What becomes of what a judge says, and of all verdicts together: the exit code."""

from __future__ import annotations

from itertools import product
from typing import Any, get_args

import pytest
from builders import PAIRING, blocked_lockstep, conversation, record, result, wait

from harness.record import UNSOUND_OUTCOMES, Outcome, Record
from harness.verdict import VERDICTS, Finding, Judgement, Kind, Metric, exit_code, judged, summary

WRONG = Finding("bread", "stones", "ask the baker", "swapped")


def finds_fault(record: Record) -> Judgement:
    yield WRONG
    yield Metric("weight_g", 12.5)


def content(record: Record) -> Judgement:
    return [Metric("weight_g", 12.5)]


def says_nothing(record: Record) -> Judgement:
    return ()


def crashes(record: Record) -> Judgement:
    yield WRONG
    raise LookupError("lost the thread")


def verdict_of(judge: Any, subject: Record, kind: Kind = "required") -> Any:
    return judged("A claim.", kind, "family/name", judge, subject)


@pytest.mark.parametrize("kind", ["required", "desired"])
def test_a_finding_fails(kind: Kind) -> None:
    outcome = verdict_of(finds_fault, record(conversation()), kind)
    assert (outcome.verdict, outcome.findings, outcome.metrics) == ("fail", (WRONG,), {"weight_g": 12.5})


def test_what_is_only_observed_never_fails_and_still_says_what_was_seen() -> None:
    outcome = verdict_of(finds_fault, record(conversation()), "observed")
    assert (outcome.verdict, outcome.findings) == ("pass", (WRONG,))


def test_no_finding_passes() -> None:
    assert verdict_of(content, record(conversation())).verdict == "pass"


def test_what_was_not_measured_is_absent_and_not_zero() -> None:
    outcome = verdict_of(says_nothing, record(conversation()))
    assert outcome.metrics == {}
    assert outcome.to_json()["metrics"] == {}


def test_a_result_carries_whom_it_is_about() -> None:
    subject = record(conversation(), variant="chunked-9000", output="last words")
    outcome = verdict_of(says_nothing, subject)
    assert (outcome.target, outcome.scenario, outcome.variant) == ("app:gateway:build", "family/name", "chunked-9000")
    assert (outcome.name, outcome.loops, outcome.claim) == ("family/name[chunked-9000]", PAIRING, "A claim.")
    assert (outcome.output, outcome.record) == ("last words", subject)


def test_a_judge_that_crashes_leaves_the_result_unsound_and_blames_nobody() -> None:
    """What it had found before the crash does not count either."""
    outcome = verdict_of(crashes, record(conversation()))
    assert (outcome.verdict, outcome.findings) == ("unsound", ())
    assert outcome.reason.startswith("the judge of family/name crashed:\nTraceback")
    assert outcome.reason.rstrip().endswith("LookupError: lost the thread")


def test_a_judge_that_returns_no_judgement_is_a_crash_too() -> None:
    assert verdict_of(lambda record: None, record(conversation())).verdict == "unsound"


def test_an_unsound_record_is_not_judged() -> None:
    outcome = verdict_of(crashes, record(conversation(), unsound="the target did not start: no such port"))
    assert (outcome.verdict, outcome.reason) == ("unsound", "the target did not start: no such port")


@pytest.mark.parametrize("outcome", get_args(Outcome))
def test_a_wait_that_ended_in_a_target_that_could_not_be_asked_is_unsound(outcome: Outcome) -> None:
    """Stopped, dead and silent say nothing about the proxy; never and wedged are what judges judge."""
    waits = (wait("head"), wait("holds", outcome, what="the client holds 5 bytes"), wait("over"))
    found = verdict_of(finds_fault, record(conversation(), waits=waits))
    if outcome in UNSOUND_OUTCOMES:
        assert found.verdict == "unsound"
        assert found.reason == f"the target was {outcome} while we waited: the client holds 5 bytes"
    else:
        assert found.verdict == "fail"


def test_staged_says_whether_every_state_was_reached_that_was_to_be_reached_first() -> None:
    good, claim = record(conversation(), waits=(wait("head", staging=True), wait("over"))), blocked_lockstep()
    bad = record(conversation(), waits=(wait("head", "never", staging=True), wait("over")))
    assert verdict_of(says_nothing, good).staged is True
    assert verdict_of(says_nothing, claim).staged is True
    assert verdict_of(says_nothing, bad).staged is False
    assert verdict_of(says_nothing, record(conversation())).staged is True


@pytest.mark.parametrize(("verdict", "kind", "strict"), list(product(VERDICTS, get_args(Kind), [False, True])))
def test_the_exit_code_of_one_verdict(verdict: str, kind: Kind, strict: bool) -> None:
    """1: a required claim fails, or with strict a desired one. 3: something required cannot be judged. Else 0."""
    expected = 0
    if verdict == "fail" and (kind == "required" or (strict and kind == "desired")):
        expected = 1
    if verdict in ("unsound", "blocked") and kind == "required":
        expected = 3
    assert exit_code([result("pass"), result(verdict, kind=kind)], strict=strict) == expected


def test_a_failure_outranks_what_could_not_be_judged() -> None:
    results = [result("unsound"), result("fail"), result("pass")]
    assert exit_code(results) == exit_code(results[::-1]) == 1


def test_what_a_failure_blocks_is_told_by_the_failure() -> None:
    assert exit_code([result("fail", scenario="fidelity/answers"), result("blocked")]) == 1


def test_a_desired_failure_does_not_hide_what_could_not_be_judged() -> None:
    results = [result("fail", kind="desired"), result("unsound")]
    assert exit_code(results) == 3
    assert exit_code(results, strict=True) == 1


def test_nothing_selected_is_bad_usage() -> None:
    assert exit_code([]) == exit_code([], strict=True) == 2


def test_results_may_come_from_an_iterator() -> None:
    assert exit_code(iter([result("pass"), result("fail")])) == 1


def test_the_summary_counts_every_verdict_also_those_that_did_not_occur() -> None:
    counts = summary([result("pass"), result("pass"), result("fail"), result("skipped")])
    assert counts == {"pass": 2, "fail": 1, "unsound": 0, "blocked": 0, "skipped": 1}

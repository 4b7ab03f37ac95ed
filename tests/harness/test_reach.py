"""What a claim needs is asked first, once; where it fails, the claim is blocked, never passed and never blamed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from builders import conversation, pairing

from harness.loops import Pairing
from harness.reach import Reach, blocked_among, needed_first
from harness.record import Record
from harness.scenario import ANSWERS, Scenario, load_scenarios
from harness.target import Target
from harness.verdict import Finding, Result, judged

ONE = pairing("asyncio", "asyncio", "asyncio")
OTHER = pairing("trio", "trio", "trio")
TARGET = Target("app:gateway:build", "gateway:build")
SCENARIOS = load_scenarios()
CLAIM = SCENARIOS["truncation/no_hang"]
"""An error, always the same, keeps this one."""


class Failing:
    """A lab on which some scenarios fail, on some pairings; it counts what it stages."""

    def __init__(self, *fails: str, pairings: Sequence[Pairing] = (ONE, OTHER), unsound: str = "") -> None:
        self.fails = fails
        self.pairings = pairings
        self.unsound = unsound
        self.performed: list[tuple[str, str]] = []

    def perform(self, scenario: Scenario, variant: str, target: Target, loops: Pairing) -> Record:
        self.performed.append((scenario.staging, variant))
        return Record(target.name, scenario.staging, variant, loops, (conversation(),), unsound=self.unsound)

    def judge(self, scenario: Scenario, record: Record) -> Result:
        guilty = scenario.id in self.fails and record.loops in self.pairings
        said = [Finding("status 200", "status 502")] if guilty else []
        return judged(scenario.claim, scenario.kind, scenario.id, lambda record: said, record)


def test_a_claim_whose_need_failed_is_blocked_and_says_what_was_seen() -> None:
    result = Reach(Failing(ANSWERS), [CLAIM]).result(CLAIM, "fin", TARGET, ONE)
    assert result.verdict == "blocked"
    assert result.reason == "fidelity/answers failed, without which this means nothing: status 502"
    assert (result.name, result.kind, result.loops) == ("truncation/no_hang[fin]", "required", ONE)


def test_it_is_not_staged_in_vain() -> None:
    lab = Failing(ANSWERS)
    Reach(lab, [CLAIM]).result(CLAIM, "fin", TARGET, ONE)
    assert lab.performed == [(ANSWERS, "plain")]


def test_a_need_is_reached_once_whoever_asks_and_though_nobody_selected_it() -> None:
    lab = Failing()
    reach = Reach(lab, [CLAIM])
    for variant in ("fin", "reset", "short"):
        assert reach.result(CLAIM, variant, TARGET, ONE).verdict == "pass"
    assert [scenario for scenario, _ in lab.performed].count(ANSWERS) == 1


@pytest.mark.parametrize("fails", [True, False])
def test_the_record_of_a_need_is_kept_where_it_decides(fails: bool) -> None:
    """Without it a trace would be judged otherwise; where it holds, it was not asked for."""
    kept: list[Record] = []
    reach = Reach(Failing(*([ANSWERS] if fails else [])), [CLAIM], kept.append)
    for variant in ("fin", "reset"):
        reach.result(CLAIM, variant, TARGET, ONE)
    assert [record.scenario for record in kept] == ([ANSWERS] if fails else [CLAIM.staging, CLAIM.staging])


def test_a_record_is_handed_on_once_whoever_asked_first() -> None:
    kept: list[Record] = []
    answers = SCENARIOS[ANSWERS]
    reach = Reach(Failing(), [CLAIM, answers], kept.append)
    reach.result(CLAIM, "fin", TARGET, ONE)
    reach.result(answers, "plain", TARGET, ONE)
    reach.result(answers, "plain", TARGET, ONE)
    assert [record.scenario for record in kept] == [CLAIM.staging, ANSWERS]


def test_a_need_that_is_selected_too_is_not_staged_twice() -> None:
    lab, answers = Failing(), SCENARIOS[ANSWERS]
    reach = Reach(lab, [CLAIM, answers])
    reach.result(CLAIM, "fin", TARGET, ONE)
    assert reach.result(answers, "plain", TARGET, ONE).verdict == "pass"
    assert [scenario for scenario, _ in lab.performed].count(ANSWERS) == 1


def test_it_is_blocked_only_where_the_need_failed() -> None:
    """On that pairing, and on that target."""
    reach = Reach(Failing(ANSWERS, pairings=[OTHER]), [CLAIM])
    assert reach.result(CLAIM, "fin", TARGET, OTHER).verdict == "blocked"
    assert reach.result(CLAIM, "fin", TARGET, ONE).verdict == "pass"


def test_the_first_variant_of_a_need_decides() -> None:
    need = replace(SCENARIOS["closure/body_arrives"], needs=())
    claim = replace(CLAIM, needs=(need.id,))
    lab = Failing()
    Reach(lab, [claim, need]).result(claim, "fin", TARGET, ONE)
    assert lab.performed[0] == (need.id, next(iter(need.variants)))


def test_what_is_blocked_blocks_in_turn_for_the_first_reason() -> None:
    middle = SCENARIOS["closure/body_arrives"]
    claim = replace(CLAIM, needs=(middle.id,))
    result = Reach(Failing(ANSWERS), [claim, middle]).result(claim, "fin", TARGET, ONE)
    assert result.verdict == "blocked"
    assert result.reason.startswith("fidelity/answers failed")


def test_what_needs_something_that_could_not_be_judged_is_unsound_and_the_next_one_asks_again() -> None:
    """A target that died once is never passed over in silence, and not given up either."""
    lab = Failing(unsound="the target died")
    reach = Reach(lab, [CLAIM])
    result = reach.result(CLAIM, "fin", TARGET, ONE)
    assert (result.verdict, result.reason) == ("unsound", "the target died")
    lab.unsound = ""
    assert reach.result(CLAIM, "reset", TARGET, ONE).verdict == "pass"


def test_needs_come_first_deepest_first_and_the_rest_keeps_its_order() -> None:
    a, b, c = (replace(CLAIM, id=name, needs=()) for name in "abc")
    d = replace(CLAIM, id="d", needs=("c",))
    e = replace(CLAIM, id="e", needs=("d",))
    assert [s.id for s in needed_first([a, e, b, d, c])] == ["c", "d", "a", "e", "b"]
    assert [s.id for s in needed_first([e, a])] == ["e", "a"], "a need that is not among them orders nothing"


@pytest.mark.parametrize("fails", [True, False])
def test_records_judged_each_by_itself_are_blocked_afterwards(fails: bool) -> None:
    lab = Failing(*([ANSWERS] if fails else []))
    results = [
        lab.judge(scenario, lab.perform(scenario, variant, TARGET, loops))
        for scenario, variant in ((CLAIM, "fin"), (SCENARIOS[ANSWERS], "plain"))
        for loops in (ONE, OTHER)
    ]
    verdicts = [result.verdict for result in blocked_among(results, SCENARIOS)]
    assert verdicts == (["blocked", "blocked", "fail", "fail"] if fails else ["pass"] * 4)


def test_a_record_whose_need_left_none_is_judged_as_it_is() -> None:
    lab = Failing(ANSWERS)
    alone = [lab.judge(CLAIM, lab.perform(CLAIM, "fin", TARGET, ONE))]
    assert [result.verdict for result in blocked_among(alone, SCENARIOS)] == ["pass"]

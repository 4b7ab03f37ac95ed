"""A run as a pytest session, with a lab that only pretends: what is selected, shared, skipped, and what breaks."""

from __future__ import annotations

import io
import os
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from builders import conversation, pairing
from rich.console import Console

from harness.loops import LOOPS, Loop, Pairing, covering
from harness.record import Record
from harness.report.terminal import Terminal, rerun
from harness.run import Lab
from harness.scenario import ANSWERS, Scenario, load_scenarios
from harness.suite import Plan, Suite, plain_results, run_suite
from harness.target import Target
from harness.verdict import Finding, Result, judged

ONE = pairing("asyncio", "asyncio", "asyncio")
TARGET = Target("app:gateway:build", "gateway:build")
OK, INTERRUPTED, USAGE, NOTHING = 0, 2, 4, 5


class Pretender:
    """A lab that stages nothing: its records are of a faithful proxy, unless `performs` says otherwise."""

    def __init__(self, performs: Callable[[Scenario, str], Record] | None = None) -> None:
        self.performs = performs
        self.performed: list[tuple[str, str, str, Pairing]] = []
        self.copies: list[int] = []
        self.interrupted = False

    def perform(self, scenario: Scenario, variant: str, target: Target, loops: Pairing, *, copy: int = 0) -> Record:
        self.performed.append((target.name, scenario.staging, variant, loops))
        self.copies.append(copy)
        if self.performs:
            return self.performs(scenario, variant)
        return Record(target.name, scenario.staging, variant, loops, (conversation(),))

    def interrupt(self) -> None:
        self.interrupted = True

    def judge(self, scenario: Scenario, record: Record) -> Result:
        return judged(scenario.claim, scenario.kind, scenario.id, lambda record: (), record)


def play(
    *ids: str,
    lab: Pretender | None = None,
    targets: tuple[Target, ...] = (TARGET,),
    loops: tuple[Loop, ...] = LOOPS,
    pairings: tuple[Pairing, ...] = (ONE,),
    **options: Any,
) -> tuple[int, Suite]:
    """Run these scenarios; pytest's exit code, and the suite."""
    scenarios = tuple(s for name, s in load_scenarios().items() if not ids or name in ids)
    plan = Plan(tuple((target, loops) for target in targets), pairings, scenarios, **options)
    suite = Suite(plan, cast(Lab, lab or Pretender()), Terminal(Console(file=io.StringIO())))
    return run_suite(suite), suite


def names(suite: Suite) -> list[str]:
    return [result.name for result in suite.terminal.results]


def test_every_variant_of_every_scenario_on_every_pairing_for_every_target() -> None:
    targets = (TARGET, Target("reference", "reference:build"))
    code, suite = play("truncation/no_hang", "delivery/headers_first", targets=targets, pairings=covering(LOOPS))
    variants = [
        f"{name}[{variant}]"
        for name in ("delivery/headers_first", "truncation/no_hang")
        for variant in load_scenarios()[name].variants
    ]
    assert code == OK
    assert names(suite) == [name for _ in targets for name in variants for _ in range(4)]
    assert [r.target for r in suite.terminal.results] == [t.name for t in targets for _ in variants for _ in range(4)]
    assert [r.loops for r in suite.terminal.results][:4] == list(covering(LOOPS))


def test_quick_takes_the_first_variant_of_each() -> None:
    _, suite = play(quick=True)
    each = [f"{s.id}[{next(iter(s.variants))}]" for s in load_scenarios().values()]
    assert sorted(names(suite)) == sorted(each)


def test_what_others_need_comes_first_and_the_rest_in_order() -> None:
    _, suite = play(quick=True)
    ids = list(dict.fromkeys(result.scenario for result in suite.terminal.results))
    assert ids[0] == ANSWERS
    assert ids[1:] == [name for name in load_scenarios() if name != ANSWERS]


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        ("delivery/headers_first", ["chunked", "content-length", "close-delimited", "http10"]),
        ("headers_first and not http10", ["chunked", "content-length", "close-delimited"]),
        ("delivery/headers_first[chunked]", ["chunked"]),
        ("HEADERS_FIRST and (http10 or chunked)", ["chunked", "http10"]),
    ],
)
def test_select_works_on_what_people_see(select: str, expected: list[str]) -> None:
    _, suite = play("delivery/headers_first", "closure/body_arrives", select=select)
    assert names(suite) == [f"delivery/headers_first[{variant}]" for variant in expected]


def test_what_selects_nothing_runs_nothing() -> None:
    code, suite = play(select="no such thing")
    assert (code, names(suite)) in ((NOTHING, []), (USAGE, []))
    code, suite = play(select="nosuchthing")
    assert (code, names(suite)) == (NOTHING, [])


def test_an_expression_that_is_none_is_told_so(capfd: pytest.CaptureFixture[str]) -> None:
    code, suite = play(select="lockstep and (")
    assert (code, names(suite)) == (USAGE, [])
    assert "Wrong expression passed to '-k': lockstep and (" in capfd.readouterr().err


def test_the_name_in_a_rerun_line_selects_that_one_result_and_no_other() -> None:
    """`1` is in `512` too."""
    for variant in ("1", "65536"):
        result = Result(TARGET.name, "closure/body_arrives", variant, "required", ONE, "fail", "A claim.")
        assert f" -k '{result.name}' " in rerun(result)
        _, again = play("closure/body_arrives", select=result.name)
        assert names(again) == [result.name]


def test_claims_about_one_staging_share_it() -> None:
    lab = Pretender()
    _, suite = play("truncation/cut_is_an_error", "truncation/no_hang", "truncation/strict_prefix", lab=lab)
    variants = list(load_scenarios()["truncation/no_hang"].variants)
    assert len(names(suite)) == 3 * len(variants)
    need, *others = lab.performed
    assert need[1] == ANSWERS
    assert others == [(TARGET.name, "truncation/cut_is_an_error", variant, ONE) for variant in variants]


def test_a_claim_that_shares_can_be_run_without_the_one_that_stages() -> None:
    lab = Pretender()
    _, suite = play("truncation/no_hang", lab=lab, select="no_hang and reset")
    assert names(suite) == ["truncation/no_hang[reset]"]
    assert [variant for _, scenario, variant, _ in lab.performed if scenario != ANSWERS] == ["reset"]


def test_every_record_is_handed_on_once(tmp_path: Path) -> None:
    kept: list[Record] = []
    play("truncation/cut_is_an_error", "truncation/no_hang", on_record=kept.append)
    assert [record.variant for record in kept] == list(load_scenarios()["truncation/no_hang"].variants)


def test_a_loop_that_the_target_does_not_run_on_is_skipped() -> None:
    lab = Pretender()
    code, suite = play("closure/one_request", lab=lab, loops=("asyncio",), pairings=covering(LOOPS))
    assert [r.verdict for r in suite.terminal.results] == ["pass", "skipped", "pass", "skipped"]
    assert suite.terminal.results[1].reason == "app:gateway:build does not run on trio"
    assert {loops.target for *_, loops in lab.performed} == {"asyncio"}
    assert code == OK


def test_an_interruption_keeps_what_is_known() -> None:
    def performs(scenario: Scenario, variant: str) -> Record:
        if variant == "http10":
            raise KeyboardInterrupt
        return Record(TARGET.name, scenario.staging, variant, ONE, (conversation(),))

    code, suite = play("delivery/headers_first", lab=Pretender(performs))
    assert code == INTERRUPTED
    assert names(suite) == [f"delivery/headers_first[{v}]" for v in ("chunked", "content-length", "close-delimited")]
    assert suite.broken == []


def test_an_error_of_our_own_is_never_lost() -> None:
    """A staging that crashes has no verdict; the run must not look as if it had none to reach."""

    def performs(scenario: Scenario, variant: str) -> Record:
        raise LookupError("lost in the lab")

    _, suite = play("closure/one_request", lab=Pretender(performs))
    assert names(suite) == []
    assert len(suite.broken) == 1
    assert "closure/one_request[success]" in suite.broken[0]
    assert "LookupError: lost in the lab" in suite.broken[0]


def test_a_record_that_cannot_be_kept_is_an_error_of_our_own_too() -> None:
    def full(record: Record) -> None:
        raise OSError(28, "No space left on device")

    _, suite = play("closure/one_request", on_record=full)
    assert "No space left on device" in "".join(suite.broken)


def test_verdicts_are_no_errors_of_our_own() -> None:
    """A failing verdict raises inside pytest as well; that is how it is meant."""

    def performs(scenario: Scenario, variant: str) -> Record:
        return Record(TARGET.name, scenario.staging, variant, ONE, unsound="it did not start")

    _, suite = play("closure/one_request", lab=Pretender(performs))
    assert plain_results(suite.terminal.results) == [f"closure/one_request[success] {ONE} unsound"]
    assert suite.broken == []


def test_pytest_listens_to_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not to the environment, not to the folder; and the environment is given back as it was."""
    given = {"PYTEST_ADDOPTS": "-k nosuchthing --collect-only", "PYTEST_PLUGINS": "no_such_plugin"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "conftest.py").write_text("raise SystemExit('the conftest was read')")
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    monkeypatch.chdir(tmp_path)
    code, suite = play("closure/one_request")
    assert (code, names(suite)) == (OK, ["closure/one_request[success]"])
    assert {name: os.environ.get(name) for name in given} == given
    assert "PYTEST_DISABLE_PLUGIN_AUTOLOAD" not in os.environ


@pytest.mark.parametrize("copies", [2, 5])
def test_with_copies_the_same_is_staged_once_and_comes_out_in_the_same_order(copies: int) -> None:
    one, many = Pretender(), Pretender()
    _, alone = play(lab=one)
    code, suite = play(lab=many, copies=copies)
    assert code == OK
    assert plain_results(suite.terminal.results) == plain_results(alone.terminal.results)
    assert Counter(many.performed) == Counter(one.performed)
    assert set(many.copies) <= set(range(copies))
    assert many.interrupted
    assert [thread.name for thread in threading.enumerate() if "copy" in thread.name] == []


def test_copies_are_at_work_side_by_side() -> None:
    """Each waits for the other: one after the other, neither would be over."""
    both = threading.Barrier(2, timeout=60)

    def performs(scenario: Scenario, variant: str) -> Record:
        if variant in ("chunked", "content-length"):
            both.wait()
        return Record(TARGET.name, scenario.staging, variant, ONE, (conversation(),))

    code, suite = play("delivery/headers_first", lab=Pretender(performs), copies=2)
    assert (code, suite.broken) == (OK, [])


def test_a_copy_stages_nothing_in_vain() -> None:
    """What is needed comes first, on the first copy; if it fails, nobody stages what needed it."""
    lab = Refuser()
    _, suite = play(ANSWERS, "delivery/headers_first", lab=lab, copies=3)
    assert {scenario for _, scenario, *_ in lab.performed} == {ANSWERS}
    assert {result.verdict for result in suite.terminal.results} == {"fail", "blocked"}


class Refuser(Pretender):
    def judge(self, scenario: Scenario, record: Record) -> Result:
        finding = Finding("an answer", "none")
        return judged(scenario.claim, scenario.kind, scenario.id, lambda record: (finding,), record)


def test_an_error_in_a_copy_is_an_error_of_our_own() -> None:
    def performs(scenario: Scenario, variant: str) -> Record:
        if scenario.id == ANSWERS:
            return Record(TARGET.name, scenario.staging, variant, ONE, (conversation(),))
        raise LookupError("lost in the lab")

    _, suite = play("closure/one_request", lab=Pretender(performs), copies=2)
    assert "LookupError: lost in the lab" in suite.broken[0]


def test_an_interruption_ends_the_copies_too() -> None:
    """One of them would wait for ever."""
    lab = Pretender()
    over = threading.Event()
    lab.interrupt = over.set  # type: ignore[method-assign]

    def performs(scenario: Scenario, variant: str) -> Record:
        if variant == "close-delimited":
            raise KeyboardInterrupt
        if variant == "http10":
            assert over.wait(60)
        return Record(TARGET.name, scenario.staging, variant, ONE, (conversation(),))

    lab.performs = performs
    code, suite = play("delivery/headers_first", lab=lab, copies=2)
    assert code == INTERRUPTED
    assert names(suite) == [f"delivery/headers_first[{v}]" for v in ("chunked", "content-length")]
    assert suite.broken == []


def test_a_target_that_somebody_else_has_started_has_no_copies() -> None:
    lab = Pretender()
    target = Target("http://127.0.0.1:9/v1", "", url="http://127.0.0.1:9")
    _, suite = play("delivery/headers_first", lab=lab, targets=(target,), copies=4)
    assert len(suite.terminal.results) == len(lab.performed) - 1
    assert set(lab.copies) == {0}

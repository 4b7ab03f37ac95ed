"""Reaching verdicts: stage what must be staged, once for all claims about it, and first what a claim needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from threading import Condition
from typing import Protocol

from harness.loops import Pairing
from harness.record import Record
from harness.scenario import Scenario, load_scenarios
from harness.target import Target
from harness.verdict import Result, Verdict


class Stations(Protocol):
    """What stages and judges: a lab."""

    def perform(self, scenario: Scenario, variant: str, target: Target, loops: Pairing) -> Record: ...

    def judge(self, scenario: Scenario, record: Record) -> Result: ...


Key = tuple[str, str, str, Pairing]
"""Target, scenario, variant, loops."""


class Reach:
    """Verdicts one after the other. What a claim needs is staged also where nobody selected it.

    `on_record` gets each record of what was asked for, once, and of a need that keeps a claim from being judged.
    """

    def __init__(
        self,
        lab: Stations,
        scenarios: Sequence[Scenario],
        on_record: Callable[[Record], object] = lambda record: None,
    ) -> None:
        self.lab = lab
        self.on_record = on_record
        self._scenarios = {**load_scenarios(), **{scenario.id: scenario for scenario in scenarios}}
        self._needed = {need for scenario in scenarios for need in scenario.needs}
        self._shared = {scenario.shares for scenario in scenarios if scenario.shares}
        self._records: dict[Key, Record] = {}
        self._results: dict[Key, Result] = {}
        self._known = Condition()
        """Guards what is known of needs, for threads that stage ahead."""
        self._unsound: set[Key] = set()
        self._over = False
        self._handed_on: set[Key] = set()

    def result(self, scenario: Scenario, variant: str, target: Target, pairing: Pairing) -> Result:
        """The verdict. What others need is reached only once, unless it could not be judged."""
        result = self._reach(scenario, variant, target, pairing)
        self._hand_on(result.record)
        return result

    def _reach(self, scenario: Scenario, variant: str, target: Target, pairing: Pairing) -> Result:
        key = (target.name, scenario.id, variant, pairing)
        if key in self._results:
            return self._results[key]
        result = self._without_need(scenario, variant, target, pairing)
        if result is None:
            result = self.lab.judge(scenario, self._record(scenario, variant, target, pairing))
        if scenario.id in self._needed:
            self._note(key, result)
        return result

    def _note(self, key: Key, result: Result) -> None:
        with self._known:
            if result.verdict == "unsound":
                self._unsound.add(key)  # asked again by whoever needs it, but there is nothing to wait for
            else:
                self._results[key] = result
            self._known.notify_all()

    def needed(self, scenario: Scenario) -> bool:
        """Whether another one needs it."""
        return scenario.id in self._needed

    def worth_staging(self, scenario: Scenario, target: Target, pairing: Pairing) -> bool:
        """Wait until what the scenario needs is known; whether it may be judged then. For another thread."""
        needs = [(target.name, need, first_variant(self._scenarios[need]), pairing) for need in scenario.needs]
        with self._known:
            self._known.wait_for(lambda: self._over or all(n in self._results or n in self._unsound for n in needs))
            return not self._over and not any(n in self._unsound or why_blocked(self._results[n]) for n in needs)

    def close(self) -> None:
        """Nobody waits any longer."""
        with self._known:
            self._over = True
            self._known.notify_all()

    def _without_need(self, scenario: Scenario, variant: str, target: Target, pairing: Pairing) -> Result | None:
        """The result where something that the scenario needs keeps it from being judged."""
        for need in scenario.needs:
            needed = self._scenarios[need]
            found = self._reach(needed, first_variant(needed), target, pairing)
            if found.verdict == "unsound":
                self._hand_on(found.record)
                return not_judged(scenario, variant, target, pairing, "unsound", found.reason)
            if reason := why_blocked(found):
                self._hand_on(found.record)
                result = not_judged(scenario, variant, target, pairing, "blocked", reason)
                return replace(result, expected=found.expected)
        return None

    def _record(self, scenario: Scenario, variant: str, target: Target, pairing: Pairing) -> Record:
        key = (target.name, scenario.staging, variant, pairing)
        if key in self._records:
            return self._records[key]
        record = self.lab.perform(scenario, variant, target, pairing)
        if scenario.staging in self._shared:
            self._records[key] = record
        return record

    def _hand_on(self, record: Record | None) -> None:
        if record is None:
            return
        key = (record.target, record.scenario, record.variant, record.loops)
        if key not in self._handed_on:
            self._handed_on.add(key)
            self.on_record(record)


def first_variant(scenario: Scenario) -> str:
    """The plainest one: what `--quick` runs, and what decides whether those who need the scenario mean anything."""
    return next(iter(scenario.variants))


def why_blocked(need: Result) -> str:
    """Why judging means nothing where this came of what it needs; "" where it means something."""
    if need.verdict == "blocked":
        return need.reason
    if need.verdict != "fail":
        return ""
    seen = "; ".join(finding.actual for finding in need.findings)
    return f"{need.scenario} failed, without which this means nothing: {seen}"


def not_judged(
    scenario: Scenario, variant: str, target: Target, pairing: Pairing, verdict: Verdict, reason: str
) -> Result:
    """The result of a scenario that was not staged."""
    kind = scenario.kind_of(variant)
    return Result(target.name, scenario.id, variant, kind, pairing, verdict, scenario.claim, reason=reason)


def needed_first(scenarios: Iterable[Scenario]) -> list[Scenario]:
    """What others need comes first, so that nothing is staged in vain; the rest keeps its order."""
    scenarios = list(scenarios)
    needed = {need for scenario in scenarios for need in scenario.needs}
    by_id = {scenario.id: scenario for scenario in scenarios}

    def depth(scenario: Scenario) -> int:
        return 1 + max((depth(by_id[need]) for need in scenario.needs if need in by_id), default=0)

    return sorted(scenarios, key=lambda s: depth(s) if s.id in needed else len(scenarios) + 1)


def blocked_among(results: Sequence[Result], scenarios: Mapping[str, Scenario]) -> list[Result]:
    """The same results, blocked where one of them says so: for records that were judged each by itself."""
    known = {(r.target, r.scenario, r.variant, r.loops): r for r in results}

    def checked(result: Result) -> Result:
        for need in scenarios[result.scenario].needs:
            found = known.get((result.target, need, first_variant(scenarios[need]), result.loops))
            if found and (reason := why_blocked(checked(found))):
                plain = replace(result, findings=(), metrics={}, record=None)
                return replace(plain, verdict="blocked", reason=reason, expected=found.expected)
        return result

    return [checked(result) for result in results]

"""A run as a pytest session: one item a verdict, named as people see it. A plugin object; nothing of a user's project
takes part, so that no conftest, ini or plugin of theirs can change a verdict.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from harness.ahead import Ahead
from harness.expectations import Expectation, expected
from harness.loops import Loop, Pairing, outside
from harness.reach import Reach, needed_first, not_judged
from harness.record import Record
from harness.report.terminal import Terminal, failure_text
from harness.run import Lab
from harness.scenario import Scenario
from harness.target import Target
from harness.verdict import Result

PRIVATE_PLUGINS = ("terminal", "cacheprovider", "doctest", "unittest", "nose", "pastebin", "stepwise")


@dataclass(frozen=True)
class Plan:
    """What is to be run: everything, before `-k` picks."""

    targets: tuple[tuple[Target, tuple[Loop, ...]], ...]
    """Each target with the loops it can run on; none for one that is not ours to host."""
    pairings: tuple[Pairing, ...]
    """For apps; see `pairings_of`."""
    scenarios: tuple[Scenario, ...]
    select: str = ""
    quick: bool = False
    junit: Path | None = None
    on_record: Callable[[Record], object] = lambda record: None
    expectations: Sequence[Expectation] = ()
    upstream_loop: Loop | None = None
    """The loop of an upstream that runs elsewhere."""
    copies: int = 1
    """How many copies of a target are put to the test side by side."""

    def pairings_of(self, target: Target) -> tuple[Pairing, ...]:
        """The pairings on which a target is put to the test."""
        if target.app:
            return self.pairings
        pairings = outside(self.pairings)
        if target.url:  # it knows one upstream, at one address, which one loop can serve
            return tuple(
                dict.fromkeys(
                    replace(pairing, upstream=self.upstream_loop or pairings[0].upstream) for pairing in pairings
                )
            )
        return pairings


class VerdictItem(pytest.Item):
    """One verdict to be reached."""

    suite: Suite
    target: Target
    scenario: Scenario
    variant: str
    pairing: Pairing

    def runtest(self) -> None:
        result = self.suite.result(self)
        self.suite.terminal.add(result)
        if result.verdict in ("skipped", "blocked"):
            pytest.skip(result.reason)
        if result.expected:
            pytest.xfail("expected")
        if result.verdict in ("fail", "unsound"):
            raise VerdictError(result)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str:
        if isinstance(excinfo.value, VerdictError):
            result = excinfo.value.result
            return failure_text(result) if result.verdict == "fail" else result.reason
        return str(super().repr_failure(excinfo, style))

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.path, None, self.name


class VerdictError(Exception):
    """A verdict other than pass, as pytest wants to hear of it."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.name)
        self.result = result


class Suite:
    """The plugin: collects the plan's verdicts as items and has the lab reach them."""

    def __init__(self, plan: Plan, lab: Lab, terminal: Terminal) -> None:
        self.plan = plan
        self.lab = lab
        self.terminal = terminal
        self.broken: list[str] = []
        """Errors that are ours, not a verdict."""
        self._reach = Reach(self, plan.scenarios, plan.on_record)
        self._ahead: Ahead | None = None
        self._heading: Target | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> bool:
        items = cast(list[pytest.Item], list(self._items(session)))
        session.config.hook.pytest_collection_modifyitems(session=session, config=session.config, items=items)
        session.items = items
        session.testscollected = len(items)
        session.config.hook.pytest_collection_finish(session=session)
        self.terminal.start(len(items))
        return True

    def _items(self, session: pytest.Session) -> Iterator[VerdictItem]:
        for target, _ in self.plan.targets:
            for scenario in needed_first(self.plan.scenarios):
                for variant in list(scenario.variants)[: 1 if self.plan.quick else None]:
                    for pairing in self.plan.pairings_of(target):
                        name = f"{scenario.id}[{variant}]"
                        item = VerdictItem.from_parent(session, name=name, nodeid=f"{target.name}::{pairing}::{name}")
                        item.suite, item.target, item.scenario = self, target, scenario
                        item.variant, item.pairing = variant, pairing
                        yield item

    def result(self, item: VerdictItem) -> Result:
        """Stage what must be staged, and judge."""
        target, scenario, variant, pairing = item.target, item.scenario, item.variant, item.pairing
        if target is not self._heading:
            self._heading = target
            self.terminal.heading(target, self.plan.pairings_of(target))
        self.terminal.running(item.name)
        if reason := self._lacking(item):
            return not_judged(scenario, variant, target, pairing, "skipped", reason)
        return self._reach.result(scenario, variant, target, pairing)

    def _lacking(self, item: VerdictItem) -> str:
        """Why it is not for this target; "" if it is."""
        target, loop = item.target, item.pairing.target
        if lacking := item.scenario.lacking(item.variant, target.endpoint):
            return lacking
        if target.app and loop not in dict(self.plan.targets)[target]:
            return f"{target.name} does not run on {loop}"
        return ""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Where there are copies, have what was selected staged from now on.

        What others need is not put: it comes first, and in this thread, which can be interrupted while it installs.
        """
        if self.plan.copies == 1:
            return
        self._ahead = Ahead(self.lab.perform, self.plan.copies)
        for item in cast(list[VerdictItem], session.items):
            if not (item.target.url or self._reach.needed(item.scenario) or self._lacking(item)):
                worth = partial(self._reach.worth_staging, item.scenario, item.target, item.pairing)
                self._ahead.put(item.scenario, item.variant, item.target, item.pairing, worth)

    def close(self) -> None:
        """End what was to be staged ahead, if anything was."""
        if self._ahead:
            self._reach.close()
            self.lab.interrupt()
            self._ahead.close()

    def perform(self, scenario: Scenario, variant: str, target: Target, loops: Pairing) -> Record:
        if not self._ahead:
            return self.lab.perform(scenario, variant, target, loops)
        if staged := self._ahead.take(scenario, variant, target, loops):
            return staged
        with self._ahead.first:
            return self.lab.perform(scenario, variant, target, loops)

    def judge(self, scenario: Scenario, record: Record) -> Result:
        """Have it judged; a failure that is known is marked so, before it blocks anything."""
        return expected(self.lab.judge(scenario, record), self.plan.expectations)

    def pytest_exception_interact(self, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
        if call.excinfo and not isinstance(call.excinfo.value, VerdictError):
            self.broken.append(f"{report.nodeid}: {report.longreprtext}")

    def pytest_internalerror(self, excrepr: object) -> None:
        self.broken.append(str(excrepr))


def run_suite(suite: Suite) -> int:
    """Run it; pytest's exit code. KeyboardInterrupt is pytest's 2."""
    with _alone() as home:
        args = [f"--rootdir={home}", f"--confcutdir={home}", "-c", str(home / "pytest.ini"), "--capture=no"]
        args += [word for name in PRIVATE_PLUGINS for word in ("-p", f"no:{name}")]
        args += ["-k", suite.plan.select] if suite.plan.select else []
        if suite.plan.junit:
            args += [f"--junitxml={suite.plan.junit.resolve()}", "-o", "junit_suite_name=streamproof"]
        try:
            return int(pytest.main([*args, str(home)], plugins=[suite]))
        finally:
            suite.close()


@contextmanager
def _alone() -> Iterator[Path]:
    """A folder with nothing but our own ini, and an environment in which pytest listens to nobody else."""
    names = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    given = {name: os.environ.pop(name) for name in names if name in os.environ}
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    try:
        with tempfile.TemporaryDirectory(prefix="streamproof-") as folder:
            home = Path(folder)
            (home / "pytest.ini").write_text("[pytest]\n")
            yield home
    finally:
        del os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"]
        os.environ.update(given)


def plain_results(results: Sequence[Result]) -> list[str]:
    """For messages and tests: name, loops and verdict in a line each."""
    return [f"{result.name} {result.loops} {result.verdict}" for result in results]

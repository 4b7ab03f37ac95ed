"""Every claim bites, and bites nobody innocent: the whole matrix is asserted."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from itertools import combinations

import pytest
from matrix import cells, crew, name_of

from harness.declared import Cell, catches, caught_by, declared, half_fixes, innocents, specimens
from harness.report.terminal import failure_text
from harness.run import Lab
from harness.scenario import load_scenarios
from harness.target import specimen_names
from harness.verdict import Result


@pytest.fixture(scope="module")
def results(request: pytest.FixtureRequest) -> Iterator[dict[Cell, Future[Result]]]:
    """Only the cells that were selected, all under way at once."""
    params = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    with Lab() as lab, crew(lab, [param["cell"] for param in params if "cell" in param]) as futures:
        yield futures


@pytest.mark.parametrize("cell", cells(), ids=name_of)
def test_exactly_the_declared_scenarios_fail(cell: Cell, results: dict[Cell, Future[Result]]) -> None:
    result = results[cell].result()
    assert result.verdict == cell.declared, f"{cell}: {result.reason}\n{failure_text(result)}"


@pytest.mark.parametrize("scenario", [s.id for s in load_scenarios().values() if s.kind == "required" and not s.slow])
def test_every_required_claim_has_a_specimen_that_it_catches(scenario: str) -> None:
    assert caught_by(scenario)


@pytest.mark.parametrize("target", specimens())
def test_a_specimen_declares_scenarios_that_exist_and_are_not_blocked_by_another(target: str) -> None:
    assert catches(target)
    assert set(catches(target)) <= set(load_scenarios())
    assert {declared(target, scenario) for scenario in catches(target)} == {"fail"}


@pytest.mark.parametrize("target", innocents())
def test_an_innocent_gives_up_nothing_that_is_required(target: str) -> None:
    given_up = [load_scenarios()[scenario] for scenario in catches(target)]
    assert [s.id for s in given_up if "required" in (s.kind, *s.kinds.values())] == []


def test_four_half_fixes_of_one_bug_are_told_apart() -> None:
    """The bug: the body was read whole before it was sent. Each half of a fix breaks something else of what it had."""
    names = ["closed_at_return", "eager_open", "error_to_empty_200", "regroups_8k"]
    assert list(half_fixes()) == names
    for one, other in combinations(["reads_all", *names], 2):
        assert set(catches(f"specimen:{one}")) != set(catches(f"specimen:{other}")), (one, other)


def test_a_proxy_that_answers_only_502_keeps_no_claim() -> None:
    """Half of them an error would satisfy."""
    verdicts = {name: declared("specimen:always_502", name) for name in load_scenarios()}
    assert verdicts.pop("fidelity/answers") == "fail"
    assert set(verdicts.values()) == {"blocked"}
    assert "always_502" in specimen_names()

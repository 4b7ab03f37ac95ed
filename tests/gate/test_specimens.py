"""Every claim bites, and bites nobody innocent: the whole matrix is asserted."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future

import pytest
from matrix import Cell, catches, cells, crew

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


@pytest.mark.parametrize("cell", cells(), ids=str)
def test_exactly_the_declared_scenarios_fail(cell: Cell, results: dict[Cell, Future[Result]]) -> None:
    result = results[cell].result()
    assert result.verdict == cell.declared, f"{cell}: {result.reason}\n{failure_text(result)}"


@pytest.mark.parametrize("scenario", [s.id for s in load_scenarios().values() if s.kind == "required"])
def test_every_required_claim_has_a_specimen_that_it_catches(scenario: str) -> None:
    assert any(scenario in catches(name) for name in specimen_names())


@pytest.mark.parametrize("name", specimen_names())
def test_a_specimen_declares_scenarios_that_exist(name: str) -> None:
    assert catches(name)
    assert set(catches(name)) <= set(load_scenarios())

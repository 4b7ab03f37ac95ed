"""Turns: many together, or one alone, and nobody kept waiting for ever."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Barrier, Event, Thread

import pytest

from harness.turns import Turns

GUARD = 30.0


@contextmanager
def running(*targets: object) -> Iterator[list[Thread]]:
    threads = [Thread(target=target, daemon=True) for target in targets]  # type: ignore[arg-type]
    for thread in threads:
        thread.start()
    yield threads
    for thread in threads:
        thread.join(GUARD)
        assert not thread.is_alive(), "it still waits for its turn"


def test_those_who_bear_company_are_in_at_the_same_time() -> None:
    turns, meeting = Turns(), Barrier(4)

    def visit() -> None:
        with turns.together():
            meeting.wait(GUARD)

    with running(*[visit] * 4):
        pass
    assert not meeting.broken


@pytest.mark.parametrize("others", ["together", "alone"])
def test_whoever_is_alone_is_alone(others: str) -> None:
    turns, inside, seen = Turns(), [False] * 3, set()

    def visit(number: int, kind: str) -> None:
        for _ in range(200):
            with getattr(turns, kind)():
                inside[number] = True
                if kind == "alone":
                    seen.add(sum(inside))
                inside[number] = False

    with running(lambda: visit(0, "alone"), lambda: visit(1, others), lambda: visit(2, others)):
        pass
    assert seen == {1}


def test_whoever_wants_to_be_alone_is_not_kept_waiting_by_newcomers() -> None:
    """While somebody waits to be alone, those who come later wait too."""
    turns, first_in, first_out, order = Turns(), Event(), Event(), []

    def first() -> None:
        with turns.together():
            first_in.set()
            assert first_out.wait(GUARD)

    def alone() -> None:
        with turns.alone():
            order.append("alone")

    def late() -> None:
        with turns.together():
            order.append("late")

    with running(first):
        assert first_in.wait(GUARD)
        with running(alone) as (waiting,):
            while not turns._alone:
                assert waiting.is_alive()
            with running(late):
                first_out.set()
    assert order == ["alone", "late"]


@pytest.mark.parametrize("kind", ["together", "alone"])
def test_a_turn_ends_however_it_ends(kind: str) -> None:
    turns = Turns()
    for _ in range(2):
        with pytest.raises(LookupError), getattr(turns, kind)():
            raise LookupError
    with running(lambda: turns.alone().__enter__()):
        pass

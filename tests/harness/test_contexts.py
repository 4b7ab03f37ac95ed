"""What can be wrong with a context, told apart."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.contexts import Context, Moment, Trouble, all_troubles, troubles

IN = Moment(1, "a.py:1", 1, "one", 1, "trio")
OUT = replace(IN, at=2, place="a.py:2")
GOOD = Context(1, "X", IN, (IN,), (OUT,))


@pytest.mark.parametrize(
    ("context", "trouble", "said"),
    [
        (replace(GOOD, enters=(), exits=()), "never_entered", "X was made at a.py:1 by task 1 (one) and"),
        (replace(GOOD, exits=()), "never_exited", "was entered at a.py:1 by task 1 (one), and never exited"),
        (replace(GOOD, enters=(IN, OUT), exits=(OUT, OUT)), "entered_twice", "and again at a.py:2 by task 1 (one)"),
        (replace(GOOD, exits=(OUT, OUT)), "exited_twice", "exited at a.py:2 by task 1 (one), and again at a.py:2"),
        (replace(GOOD, exits=(replace(OUT, task=2),)), "wrong_task", "and exited at a.py:2 by task 2 (one)"),
        (replace(GOOD, exits=(replace(OUT, task=2, loop=2),)), "wrong_loop", "on another event loop"),
        (replace(GOOD, exits=(replace(OUT, task=2, collected=True),)), "collected", "only by garbage collection"),
    ],
)  # fmt: skip
def test_each_trouble_is_told_apart(context: Context, trouble: Trouble, said: str) -> None:
    assert list(troubles(context)) == [trouble]
    assert said in troubles(context)[trouble]
    assert not context.clean


@pytest.mark.parametrize(
    "context",
    [GOOD, replace(GOOD, enters=(), exits=(), failed="refused"), replace(GOOD, exits=(replace(OUT, task=0),))],
)
def test_what_is_well_has_no_trouble(context: Context) -> None:
    """Also what could not be entered, and what was left by a callback of the loop, which is no task."""
    assert troubles(context) == {}
    assert context.clean


def test_several_troubles_of_one_context_are_all_told() -> None:
    both = replace(GOOD, exits=(replace(OUT, task=2, error="Boom"), OUT))
    assert set(troubles(both)) == {"exited_twice", "wrong_task"}
    assert "during Boom" in troubles(both)["wrong_task"]
    assert len(all_troubles([GOOD, both, both])) == 4


def test_a_context_is_the_same_after_a_journey_as_json() -> None:
    assert Context.from_json(replace(GOOD, failed="x", request="y").to_json()) == replace(GOOD, failed="x", request="y")

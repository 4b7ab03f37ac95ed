"""The judge of the deferred-stream contract: each clause by a course that breaks it, and by its innocent neighbour."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.contexts import Context, Moment
from harness.deferred import (
    ACLOSE,
    AFTER,
    BEFORE,
    BETWEEN,
    CLAUSES,
    DROP,
    DURING,
    FIRST,
    RAISE,
    REFUSED,
    Course,
    judge_courses,
    unwatched,
)

IN = Moment(20, "adapter.py:7", 1, "consumer", 1, "asyncio")
OUT = replace(IN, at=40, place="adapter.py:9")
CONTEXT = Context(1, "POST /speech", IN, (IN,), (OUT,))
GOOD = Course(BETWEEN, ACLOSE, 100, (15,), 10, 30, 1, 50, outcome="finished", contexts=(CONTEXT,))
WHOLE = replace(GOOD, moment=AFTER, received=100, pulls=3)
CANCELLED = replace(GOOD, end="Task.cancel", outcome="cancelled")
UNTOUCHED = Course(BEFORE, ACLOSE, 100, (), None, 30, outcome="finished")
FAILED = replace(GOOD, end=RAISE, outcome="failed as it was meant to")
DROPPED = replace(GOOD, end=DROP, contexts=(replace(CONTEXT, exits=(replace(OUT, task=2, collected=True),)),))
AWAITING = replace(CANCELLED, moment=FIRST, received=0, pulls=0, contexts=(Context(1, "POST", IN, failed="gone"),))
PULLING = replace(CANCELLED, moment=DURING)
ERROR = Course(AFTER, REFUSED, 30, (15,), 10, 30, outcome="raised Refused", status=429, surfaced=429)
INNOCENT = (GOOD, WHOLE, CANCELLED, UNTOUCHED, FAILED, DROPPED, AWAITING, PULLING, ERROR)


def seen(course: Course) -> dict[str, str]:
    return {finding.kind: finding.actual for finding in judge_courses([course])}


def with_exits(course: Course, *exits: Moment) -> Course:
    return replace(course, contexts=(replace(CONTEXT, exits=exits),))


@pytest.mark.parametrize("course", INNOCENT, ids=lambda course: course.name)
def test_what_is_well_is_not_accused(course: Course) -> None:
    assert seen(course) == {}


@pytest.mark.parametrize(
    ("course", "clause", "said"),
    [
        (replace(GOOD, asked=(5,)), "lazy", "asked before anything was pulled: entered at adapter.py:7"),
        (replace(UNTOUCHED, asked=(5,)), "lazy", "before anything was pulled"),
        (replace(UNTOUCHED, asked=(35,)), "unopened", "asked as the stream was closed"),
        (with_exits(replace(UNTOUCHED, left_open=1)), "unopened", "the upstream sees its connection open for ever"),
        (replace(GOOD, asked=(15, 16)), "opens_once", "asked 2 times, in 1 pull"),
        (replace(GOOD, contexts=(CONTEXT, CONTEXT)), "opens_once", "2 contexts were opened, at adapter.py:7 and"),
        (replace(GOOD, contexts=(replace(CONTEXT, enters=(IN, IN), exits=(OUT, OUT)),)), "opens_once", "and again at"),
        (replace(GOOD, asked=(), contexts=()), "stays_open", "never asked; 50 bytes of 100 in 1 pull; finished"),
        (replace(GOOD, closed_early="it was closed"), "stays_open", "it was closed; 50 bytes of 100 in 1 pull"),
        (replace(GOOD, held=True), "stays_open", "nothing came before the upstream had sent everything"),
        (replace(GOOD, exact=False), "stays_open", "other bytes came than were sent"),
        (replace(WHOLE, received=60), "stays_open", "it ended early: 60 bytes of 100"),
        (replace(PULLING, over_early=True, outcome="ended"), "stays_open", "ended while there was more to pull"),
        (with_exits(WHOLE), "closed_at_end", "adapter.py:7 by task 1 (consumer), and never exited, after 3 pulls"),
        (with_exits(replace(WHOLE, end="Task.cancel", outcome="cancelled")), "closed_at_end", "never exited"),
        (with_exits(GOOD), "closed_by_aclose", "never exited"),
        (with_exits(GOOD, OUT, OUT), "closed_by_aclose", "exited at adapter.py:9 by task 1 (consumer), and again at"),
        (with_exits(GOOD, replace(OUT, collected=True)), "closed_by_aclose", "only by garbage collection at adapter"),
        (replace(GOOD, left_open=1), "closed_by_aclose", "sees its connection open for ever, after 1 pull"),
        (replace(GOOD, stuck=True), "closed_by_aclose", "did not come to its end"),
        (with_exits(FAILED), "closed_on_exception", "never exited"),
        (with_exits(CANCELLED), "closed_on_cancel", "never exited"),
        (replace(CANCELLED, outcome="finished"), "closed_on_cancel", "the stream made of it: finished"),
        (with_exits(DROPPED), "closed_when_dropped", "never exited"),
        (with_exits(GOOD, replace(OUT, task=2, task_name="other")), "same_task", "exited at adapter.py:9 by task 2"),
        (with_exits(GOOD, replace(OUT, task=2, loop=2)), "same_task", "on another event loop"),
        (replace(GOOD, again="it ended at once"), "no_second_body", "it ended at once"),
        (replace(ERROR, surfaced=None, outcome="finished"), "errors_surface", "finished and no status, 0 bytes"),
        (replace(ERROR, surfaced=200), "errors_surface", "raised Refused with status 200"),
    ],
)  # fmt: skip
def test_each_clause_is_a_finding_of_its_own(course: Course, clause: str, said: str) -> None:
    found = seen(course)
    assert list(found) == [clause]
    assert said in found[clause]
    assert found[clause].startswith(f"{course.name}: ")


def test_an_exit_outside_of_any_task_is_nobodys() -> None:
    """aiohttp releases a connection from a callback of the loop, when the body has come to its end."""
    assert seen(with_exits(WHOLE, replace(OUT, task=0, task_name=""))) == {}


def test_findings_stand_in_the_order_of_the_clauses_and_hold_what_all_courses_showed() -> None:
    found = judge_courses([with_exits(FAILED), with_exits(GOOD), replace(GOOD, asked=(5,)), replace(WHOLE, asked=(5,))])
    assert [finding.kind for finding in found] == ["lazy", "closed_by_aclose", "closed_on_exception"]
    assert [finding.expected for finding in found] == [CLAUSES[finding.kind] for finding in found]
    assert len(found[0].actual.splitlines()) == 2


def test_contexts_that_nobody_saw_are_not_taken_for_closed_ones() -> None:
    assert unwatched([UNTOUCHED, replace(GOOD, contexts=())])
    assert not unwatched([UNTOUCHED, GOOD])
    assert not unwatched([UNTOUCHED])


@pytest.mark.parametrize("course", [PULLING, AWAITING])
def test_a_time_limit_of_the_clients_own_is_no_defect(course: Course) -> None:
    """The upstream is silent because it was told to be; a stream that gives up waiting was never at its moment."""
    gave_up = with_exits(replace(course, over_early=True, outcome="raised ReadTimeout"))
    assert gave_up.unstaged
    assert seen(gave_up) == {}
    assert not replace(gave_up, asked=()).unstaged
    assert not replace(gave_up, closed_early="it was closed").unstaged
    assert not replace(gave_up, outcome="ended after 50 bytes").unstaged


def test_a_course_that_ended_before_it_was_cancelled_swallowed_nothing() -> None:
    course: dict[str, Any] = {"over_early": True, "outcome": "ended after 100 bytes"}
    assert "closed_on_cancel" not in seen(replace(PULLING, **course))

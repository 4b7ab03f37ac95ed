"""The deferred-stream contract: what a staged course shows of it. Pure; contract.py stages.

A course is one stream, taken to a moment of its life and ended there in some way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from harness.contexts import Context, Trouble, troubles
from harness.evidence import count
from harness.verdict import Finding

BEFORE, FIRST, BETWEEN, DURING, AFTER = MOMENTS = (
    "before the first pull",
    "during the first pull",
    "between pulls",
    "during a pull",
    "after the end",
)
"""The moments of a stream's life at which a consumer may end; during the first pull the upstream's head is awaited."""
ACLOSE, RAISE, DROP, REFUSED = "aclose()", "consumer exception", "generator dropped", "upstream error"
BY_ITSELF = (ACLOSE, RAISE, DROP, REFUSED)
"""How a consumer ends by itself; the other ends are the event loop's own, from outside."""

CLAUSES = {
    "lazy": "Nothing is requested before the first pull.",
    "opens_once": "One stream makes one request and opens one context.",
    "stays_open": "The context stays open between pulls, and the body arrives whole.",
    "closed_at_end": "It is closed exactly once after exhaustion.",
    "closed_by_aclose": "It is closed exactly once by aclose() in the middle.",
    "closed_on_exception": "It is closed exactly once after an exception in the consumer.",
    "closed_on_cancel": "It is closed exactly once after cancellation, which passes through it.",
    "closed_when_dropped": "It is closed exactly once after the stream is dropped.",
    "unopened": "aclose() before the first pull opens nothing, and leaves nothing open.",
    "same_task": "Enter and exit happen in the same task.",
    "no_second_body": "Iterating after the close raises; it does not yield an empty body.",
    "errors_surface": "Upstream errors before the first byte surface as errors with their status.",
}


@dataclass(frozen=True)
class Course:
    """What was seen of one stream. Times in ns; sizes in bytes; None where it was not looked at."""

    moment: str
    end: str
    """aclose(), consumer exception, generator dropped, upstream error, or the native way in which it was ended."""
    size: int
    """What the upstream had to send."""
    asked: tuple[int, ...] = ()
    """When the upstream was asked."""
    first_pull: int | None = None
    ended_at: int | None = None
    """When the consumer began to end: its aclose(), its exception, its cancellation."""
    pulls: int = 0
    received: int = 0
    exact: bool = True
    """Whether what was received is what was sent, as far as it goes."""
    held: bool = False
    """Whether nothing came before the upstream had sent everything."""
    closed_early: str = ""
    """How the context was seen closed while there was more to pull."""
    outcome: str = ""
    """How the consumer ended: finished, cancelled, failed as it was meant to, or the exception that came."""
    over_early: bool = False
    """Whether the consumer was over before it was made to end."""
    stuck: bool = False
    left_open: int = 0
    """How many of its requests the upstream neither saw let go of nor answered to the end."""
    again: str = ""
    """What iterating after the close did, if it did not raise."""
    status: int | None = None
    """For an upstream error: the one that was sent."""
    surfaced: int | None = None
    contexts: tuple[Context, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Course:
        contexts = tuple(Context.from_json(context) for context in data["contexts"])
        return cls(**{**data, "asked": tuple(data["asked"]), "contexts": contexts})

    @property
    def unstaged(self) -> bool:
        """Whether it never came to its moment: the upstream was silent, as it was told, and the stream gave up waiting.

        That is a time limit of the client's own, and no defect; on a busy machine even seconds pass quickly.
        """
        waited = self.moment in (FIRST, DURING) and bool(self.asked) and not self.held and not self.closed_early
        return waited and self.over_early and self.outcome.startswith("raised")

    @property
    def name(self) -> str:
        return f"{self.end}, {self.moment}" if self.end != REFUSED else f"upstream status {self.status}"


def judge_courses(courses: Iterable[Course]) -> tuple[Finding, ...]:
    """One finding for each violated clause; its `kind` is the clause's name."""
    seen: dict[str, list[str]] = {}
    for course in courses:
        for clause, sentence in _violations(course):
            seen.setdefault(clause, []).append(f"{course.name}: {sentence}")
    return tuple(Finding(CLAUSES[name], "\n".join(seen[name]), kind=name) for name in CLAUSES if name in seen)


def unwatched(courses: Iterable[Course]) -> bool:
    """Whether the upstream was asked and the ledger saw no context: then who closed it, and how often, is not known."""
    courses = list(courses)
    return any(course.asked for course in courses) and not any(course.contexts for course in courses)


def _violations(course: Course) -> Iterator[tuple[str, str]]:
    yield from _opening(course)
    if course.again:
        yield "no_second_body", course.again
    if course.unstaged:
        return
    if course.end == REFUSED:
        yield from _refusal(course)
        return
    if course.moment not in (BEFORE, FIRST):
        yield from _body(course)
    yield from _closing(course)


def _opening(course: Course) -> Iterator[tuple[str, str]]:
    first, ended, where = course.first_pull, course.ended_at, _entered(course)
    early = [at for at in course.asked if first is None or at < first]
    before_end = [at for at in early if ended is None or at < ended]
    if before_end:
        yield "lazy", f"the upstream was asked before anything was pulled{where}"
    elif early:
        yield "unopened", f"the upstream was asked as the stream was closed{where}"
    if len(course.asked) > 1:
        yield "opens_once", f"the upstream was asked {len(course.asked)} times, in {count(course.pulls, 'pull')}"
    elif len(entered := [context for context in course.contexts if context.enters]) > 1:
        yield "opens_once", f"{len(entered)} contexts were opened, at {_and(c.enters[0].place for c in entered)}"
    for context in course.contexts:
        if said := troubles(context).get("entered_twice"):
            yield "opens_once", said


def _body(course: Course) -> Iterator[tuple[str, str]]:
    came = f"{count(course.received)} of {course.size:,} in {count(course.pulls, 'pull')}"
    if not course.asked:
        yield "stays_open", f"the upstream was never asked; {came}; {course.outcome or 'nothing came'}"
    elif course.closed_early:
        yield "stays_open", f"{course.closed_early}; {came}"
    elif course.held:
        yield "stays_open", f"nothing came before the upstream had sent everything; {came}"
    elif not course.exact:
        yield "stays_open", f"other bytes came than were sent; {came}"
    elif course.moment == AFTER and course.received != course.size:
        yield "stays_open", f"it ended early: {came}; {course.outcome}"
    elif course.moment != AFTER and course.over_early:
        yield "stays_open", f"{course.outcome} while there was more to pull; {came}"


def _closing(course: Course) -> Iterator[tuple[str, str]]:
    clause = {ACLOSE: "closed_by_aclose", RAISE: "closed_on_exception", DROP: "closed_when_dropped"}.get(
        course.end, "closed_on_cancel"
    )
    if course.moment == AFTER:
        clause = "closed_at_end"
    elif course.moment == BEFORE and course.end == ACLOSE:
        clause = "unopened"
    if course.stuck:
        yield clause, f"the consumer did not come to its end, {_pulled(course)}"
    elif clause == "closed_on_cancel" and course.outcome != "cancelled" and not course.over_early:
        yield clause, f"the consumer was cancelled, and the stream made of it: {course.outcome}"
    found = dict[Trouble, str](item for context in course.contexts for item in troubles(context).items())
    sentences = [found[name] for name in ("never_exited", "exited_twice") if name in found]
    if course.end != DROP:
        sentences += [found[name] for name in ("collected",) if name in found]
        for name in ("wrong_task", "wrong_loop"):
            if name in found:
                yield "same_task", f"{found[name]}, {_pulled(course)}"
    if course.left_open:
        sentences.insert(0, "the upstream sees its connection open for ever")
    if sentences:
        yield clause, f"{'; '.join(sentences)}, {_pulled(course)}"


def _refusal(course: Course) -> Iterator[tuple[str, str]]:
    if not course.asked or course.surfaced == course.status:
        return
    seen = f"with status {course.surfaced}" if course.surfaced else "and no status"
    yield "errors_surface", f"{course.outcome or 'nothing came'} {seen}, {count(course.received)}"


def _entered(course: Course) -> str:
    place = next((context.enters[0] for context in course.contexts if context.enters), None)
    return f": entered at {place}" if place else ""


def _pulled(course: Course) -> str:
    return f"after {count(course.pulls, 'pull')}"


def _and(words: Iterable[str]) -> str:
    return " and ".join(words)

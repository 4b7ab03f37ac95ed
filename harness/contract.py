"""Stages the deferred-stream contract: one adapter, its streams taken through all the courses of their lives.

    async def test_speech_is_a_deferred_stream():
        async with httpx.AsyncClient() as http:
            await check_deferred_stream(lambda url, text: speak(http, url, text))

Runs on the event loop of whoever calls it, asyncio or trio; the fake upstream has a thread and a loop of its own, and
real sockets. Nothing is decided by a clock: patience is spent in round trips on the very loop that the adapter is on.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass

import anyio
from anyio import to_thread
from anyio.from_thread import start_blocking_portal

from fake_upstream.upstream import FakeUpstream, fake_upstream
from harness.courses import MakeStream, Stager, all_courses
from harness.deferred import CLAUSES, Course, judge_courses, unwatched
from harness.ledger import Ledger
from harness.loops import Loop
from harness.natives import library
from harness.sockets import SocketBackend, http_client
from harness.verdict import Finding
from harness.watch import watching


class ContractError(AssertionError):
    """A stream that does not keep the contract. `report` has what was seen."""

    def __init__(self, report: Report) -> None:
        super().__init__(str(report))
        self.report = report


@dataclass(frozen=True)
class Report:
    """What the contract found. `findings` has one for each violated clause, its `kind` being the clause's name."""

    library: str
    courses: tuple[Course, ...]
    findings: tuple[Finding, ...]
    exempt: dict[str, str]
    """Clauses that could not be put to the test, and why."""

    @property
    def violated(self) -> tuple[str, ...]:
        return tuple(finding.kind for finding in self.findings)

    def __str__(self) -> str:
        head = f"the stream breaks {len(self.findings)} of the {len(CLAUSES)} clauses of a deferred stream"
        lines = [f"{head}, on {self.library}"]
        for finding in self.findings:
            lines += ["", f"  {finding.kind}: {finding.expected}", *_some(finding.actual.splitlines())]
        return "\n".join(lines)


async def check_deferred_stream(
    make_stream: MakeStream, *, ledger: Ledger | None = None, wire_only: bool = False
) -> Report:
    """Prove that an adapter's stream opens late, once, and closes once. Raises ContractError, FormError.

    Requests through httpx, httpx2 and aiohttp are watched by themselves; for another client give the `ledger` that
    watches its contexts, or say `wire_only` to be content with what the upstream sees.
    """
    __tracebackhide__ = True
    report = await inspect_deferred_stream(make_stream, ledger=ledger, wire_only=wire_only)
    if report.findings:
        raise ContractError(report)
    return report


async def inspect_deferred_stream(
    make_stream: MakeStream,
    *,
    ledger: Ledger | None = None,
    wire_only: bool = False,
    upstream_loop: Loop | None = None,
    on_course: Callable[[Course], None] = lambda course: None,
) -> Report:
    """As `check_deferred_stream`, but what is found is returned, and `on_course` is told of each course as it is over.

    The upstream runs on an event loop of the caller's kind, or on `upstream_loop`. ValueError if no context could be
    watched, or if the client's own time limit ended the streams.
    """
    book = Ledger() if ledger is None else ledger
    courses: tuple[Course, ...] = ()
    async with _upstream(upstream_loop or library()) as upstream, http_client(SocketBackend()) as http:
        with _quiet(), watching(book, upstream.url):
            stager = Stager(make_stream, upstream, book, http)
            for course in all_courses():
                courses += (await stager.stage(*course),)
                on_course(courses[-1])
    if unwatched(courses) and not wire_only:
        raise ValueError(
            "the upstream was asked, and no context was seen: give ledger=, and let it watch the adapter's client with "
            "ledger.transport(), connector() or context(); or give wire_only=True"
        )
    findings = judge_courses(courses)
    if unstaged := next((course for course in courses if course.unstaged and not findings), None):
        raise ValueError(
            f"{unstaged.name}: the stream {unstaged.outcome} while the upstream was silent, each time: give its client "
            f"a longer time limit for reading, or none"
        )
    return Report(library(), courses, findings, _exempt(courses, stager.generators, wire_only))


@asynccontextmanager
async def _upstream(backend: str) -> AsyncIterator[FakeUpstream]:
    """A fake upstream on a thread of its own. It is started and stopped from another, so that this loop never waits."""
    stack = ExitStack()

    def start() -> FakeUpstream:
        portal = stack.enter_context(start_blocking_portal(backend))
        return stack.enter_context(portal.wrap_async_context_manager(fake_upstream()))

    try:
        yield await to_thread.run_sync(start)
    finally:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(stack.close)


@contextmanager
def _quiet() -> Iterator[None]:
    """The contract drops streams on purpose; the warnings of it concern nobody."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


def _exempt(courses: tuple[Course, ...], generators: bool, wire_only: bool) -> dict[str, str]:
    exempt = {}
    if generators:
        exempt["no_second_body"] = "Python itself ends an async generator that is iterated after its close"
    if wire_only and unwatched(courses):
        exempt["same_task"] = "no context was watched"
    return exempt


def _some(lines: list[str], most: int = 4) -> list[str]:
    shown = [f"    {line}" for line in lines[:most]]
    return shown + ([f"    and {len(lines) - most} more like these"] if len(lines) > most else [])

"""The contract tells each broken adapter from the good ones, on both loops, by the clauses that it breaks."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import anyio
import httpx
import pytest
from adapters import BROKEN, GOOD, Deferred, clauses_of
from inspecting import inspect_adapter, inspect_all

from harness.contract import ContractError, check_deferred_stream, inspect_deferred_stream
from harness.courses import SIZE, all_courses
from harness.deferred import (
    ACLOSE,
    AFTER,
    BEFORE,
    BETWEEN,
    BY_ITSELF,
    CLAUSES,
    DROP,
    DURING,
    FIRST,
    MOMENTS,
    RAISE,
    REFUSED,
    Course,
)
from harness.ledger import Ledger
from harness.sockets import SocketBackend, SocketTransport, http_client
from harness.streams import FormError

# The contract drops streams on purpose, and httpx nests generators: trio says so when they are collected.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
ADAPTERS = Path(__file__).resolve().parents[2] / "examples" / "adapters"
GUARD = 600.0
"""Seconds after which a test is taken for hung; nothing is decided by it."""


@pytest.mark.parametrize("name", GOOD)
async def test_good_adapters_keep_every_clause(loop: str, name: str) -> None:
    with anyio.fail_after(GUARD):
        report = await inspect_adapter(name)
    assert not report.violated, str(report)


async def test_the_worked_adapter_for_httpx_keeps_every_clause(loop: str) -> None:
    """Those for the OpenAI SDK and aiohttp are in tests/clients."""
    spec = importlib.util.spec_from_file_location("httpx_speech", ADAPTERS / "httpx_speech.py")
    assert spec is not None
    assert spec.loader is not None
    adapter = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(adapter)
    with anyio.fail_after(GUARD):
        async with httpx.AsyncClient(trust_env=False, timeout=None) as http:
            await check_deferred_stream(lambda url, text: adapter.speak(http, url, text))


async def test_each_broken_adapter_breaks_just_its_clauses(loop: str) -> None:
    """All at a time: most of their time is patience."""
    with anyio.fail_after(GUARD):
        reports = await inspect_all(BROKEN)
    assert {name: sorted(report.violated) for name, report in reports.items()} == {
        name: sorted(clauses_of(name, loop)) for name in BROKEN
    }


def test_every_clause_has_an_adapter_that_breaks_it_first() -> None:
    """`unshielded` is here because it breaks its clauses on trio alone."""
    assert {clauses_of(name, "trio")[0] for name in BROKEN} == set(CLAUSES)
    assert len(BROKEN) >= 12


NATIVE = {
    "asyncio": ("Task.cancel", "asyncio.timeout", "TaskGroup failure"),
    "trio": ("cancel scope", "nursery failure"),
}
MATRIX = {
    loop: {
        *((moment, end) for moment in (BEFORE, BETWEEN, AFTER) for end in (ACLOSE, RAISE, DROP)),
        (DURING, DROP),
        *((moment, end) for moment in MOMENTS for end in native),
    }
    for loop, native in NATIVE.items()
}


@pytest.mark.parametrize("name", ["reference", "Deferred"])
async def test_cancellation_matrix(loop: str, name: str) -> None:
    """Every way to end, at every moment of a stream's life: one context at most, closed once, nothing left."""
    with anyio.fail_after(GUARD):
        courses = {(c.moment, c.end): c for c in (await inspect_adapter(name)).courses if c.end != REFUSED}
    assert set(courses) == MATRIX[loop]
    for course in courses.values():
        assert_let_go(course)


def assert_let_go(course: Course) -> None:
    opened = course.moment != BEFORE
    entered = opened and course.moment != FIRST
    assert len(course.asked) == opened, course.name
    assert course.left_open == 0, course.name
    (context,) = course.contexts or (None,)
    assert (context is not None) == opened, course.name
    if context is not None:
        assert (len(context.enters), len(context.exits)) == (entered, entered), course.name
        if entered and course.end != DROP:
            assert context.exits[0].task == context.enters[0].task, course.name
    ended = {ACLOSE: "finished", RAISE: "failed as it was meant to", DROP: "finished"}.get(course.end, "cancelled")
    assert course.outcome == ("cancelled" if (course.moment, course.end) == (DURING, DROP) else ended), course.name
    assert course.received == (0 if not entered else course.size if course.moment == AFTER else course.received)
    assert course.exact, course.name
    assert course.end in BY_ITSELF or course.ended_at is not None


async def test_what_is_wrong_says_where_who_and_when(loop: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        with anyio.fail_after(GUARD), pytest.raises(ContractError) as caught:
            await check_deferred_stream(lambda url, text: ClosesInPassing(http, url, text))
    text = str(caught.value)
    assert f"the stream breaks 1 of the {len(CLAUSES)} clauses of a deferred stream, on {loop}" in text
    assert f"same_task: {CLAUSES['same_task']}" in text
    (finding,) = caught.value.report.findings
    line = finding.actual.splitlines()[0]
    assert line.startswith("aclose(), between pulls: the context of POST http://127.0.0.1:")
    assert "was entered at tests/contract/adapters.py:" in line
    assert "and exited at tests/contract/test_deferred_stream.py:" in line
    assert line.count(" by task ") == 2
    assert line.endswith("after 1 pull")


class ClosesInPassing(Deferred):
    async def leave(self, response: httpx.Response) -> None:
        async def close() -> None:
            await response.aclose()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(close)


async def test_a_setup_around_the_stream_is_no_part_of_it(loop: str) -> None:
    """What make_stream needs, such as a client, may be opened and closed around the stream that it yields."""

    @asynccontextmanager
    async def make_stream(url: str, text: str):  # type: ignore[no-untyped-def]
        async with httpx.AsyncClient(trust_env=False) as http:
            yield Deferred(http, url, text)

    with anyio.fail_after(GUARD):
        report = await inspect_deferred_stream(make_stream)
    assert not report.violated, str(report)


async def test_what_python_itself_decides_is_named_and_not_judged(loop: str) -> None:
    with anyio.fail_after(GUARD):
        assert set((await inspect_adapter("reference")).exempt) == {"no_second_body"}
        assert (await inspect_adapter("Deferred")).exempt == {}


async def test_what_cannot_be_watched_is_no_pass(loop: str) -> None:
    """A client that no ledger sees is a usage error, unless one is content with the wire."""
    with anyio.fail_after(GUARD):
        async with http_client(SocketBackend()) as http:
            with pytest.raises(ValueError, match="no context was seen: give ledger="):
                await inspect_deferred_stream(lambda url, text: Deferred(http, url, text))
            report = await inspect_deferred_stream(lambda url, text: Deferred(http, url, text), wire_only=True)
            assert (report.violated, set(report.exempt)) == ((), {"same_task"})
            ledger = Ledger()
        async with httpx.AsyncClient(transport=ledger.transport(SocketTransport(SocketBackend()))) as http:
            report = await inspect_deferred_stream(lambda url, text: Deferred(http, url, text), ledger=ledger)
            assert (report.violated, report.exempt) == ((), {})


# At import: what it is while nobody watches.
ORIGINAL = httpx.AsyncHTTPTransport.handle_async_request


async def test_a_client_that_gives_up_in_the_silence_cannot_be_judged(
    loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The contract makes a silence to cancel in; nobody knows what that would have done to who is gone already."""
    monkeypatch.setattr("harness.contract.all_courses", lambda: [c for c in all_courses() if c[0] == DURING])
    with anyio.fail_after(GUARD):
        async with httpx.AsyncClient(trust_env=False, timeout=None) as http:
            with pytest.raises(
                ValueError, match=r"raised ReadTimeout.* while the upstream was silent, each time: give"
            ):
                await inspect_deferred_stream(lambda url, text: GivesUp(http, url, text))


class GivesUp(Deferred):
    """As with a time limit of no time at all."""

    async def aiter_bytes(self) -> AsyncGenerator[bytes]:
        size = 0
        async with aclosing(super().aiter_bytes()) as items:
            async for data in items:
                yield data
                if (size := size + len(data)) == SIZE:
                    raise httpx.ReadTimeout("no time left")


async def test_what_is_no_stream_is_refused_by_name(loop: str) -> None:
    with anyio.fail_after(GUARD), pytest.raises(FormError, match="make_stream gave 7: give something with aiter_bytes"):
        await inspect_deferred_stream(lambda url, text: 7)


async def test_nothing_of_the_contract_is_left(loop: str) -> None:
    """The classes that told are themselves again."""
    with anyio.fail_after(GUARD):
        await inspect_adapter("Deferred")
    assert httpx.AsyncHTTPTransport.handle_async_request is ORIGINAL

"""What the pytest fixture offers: run scenarios against a proxy, start an upstream and look at its journal, or look at
an adapter and its contexts from inside.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

from anyio.from_thread import start_blocking_portal

from fake_upstream.events import Event
from fake_upstream.journal import Journal
from fake_upstream.runs import Run
from fake_upstream.script import Script
from fake_upstream.speech import input_of
from fake_upstream.upstream import FakeUpstream, fake_upstream
from harness.contract import Report, check_deferred_stream
from harness.courses import MakeStream
from harness.ledger import Ledger
from harness.loops import Loop, parse_loops
from harness.reach import Reach
from harness.report.terminal import failures
from harness.run import Lab
from harness.scenario import Scenario, load_scenarios
from harness.target import parse_target
from harness.verdict import Result, exit_code
from harness.watch import watching

Factory = Callable[[str], Any]


class Upstream:
    """A fake upstream on a thread of its own. Everything may be called from any thread and any event loop."""

    def __init__(self, started: FakeUpstream) -> None:
        self._started = started

    @property
    def url(self) -> str:
        """What one would put in OPENAI_BASE_URL; ends in /v1."""
        return self._started.url

    @property
    def journal(self) -> Journal:
        """All that happened; `await journal.saw(text, "peer_reset")` waits for it."""
        return self._started.journal

    def script(self, text: str, script: Script) -> Run:
        """Answer requests whose `input` is this text by this script; `run.release()` opens its next gate."""
        return self._started.runs.arm(text, script)

    def asked(self, text: str) -> list[Event]:
        """The requests with this `input`."""
        asked = (event for event in self.journal.since() if event.what == "asked")
        return [event for event in asked if input_of(event.body.encode()) == text]


class Streamproof:
    """The stations of this test session."""

    def __init__(self) -> None:
        self._labs: dict[str, Lab] = {}

    def __enter__(self) -> Streamproof:
        return self

    def __exit__(self, *exc: object) -> None:
        for lab in self._labs.values():
            lab.__exit__(*exc)
        self._labs.clear()

    @property
    def scenarios(self) -> list[str]:
        """The ids of all scenarios, to parametrize a test with."""
        return list(load_scenarios())

    def run(
        self,
        target: str | Factory,
        select: str = "",
        *,
        loops: str = "asyncio,trio",
        target_loops: Sequence[Loop] | None = None,
        quick: bool = True,
        server: str = "hypercorn",
    ) -> list[Result]:
        """Reach the verdicts of one scenario, a family, or all, on a target as in `--target`, or on its factory.

        `select` is an id or its beginning, as in "delivery" or "closure/one_request". `quick` takes the first
        variant of each. Raises ValueError where nothing is selected, StartError where the target does not start.
        """
        lab = self._labs.get(server)
        if lab is None:
            lab = self._labs[server] = Lab(server)
        chosen = parse_target(target if isinstance(target, str) else spec_of(target))
        scenarios = _selected(select)
        can = tuple(target_loops) if target_loops is not None else lab.loops_of(chosen)
        pairings = [pairing for pairing in parse_loops(loops) if pairing.target in can]
        if not pairings:
            raise ValueError(f"loops is {loops!r}, and {chosen.name} runs on {', '.join(can)} only: nothing to run")
        reach = Reach(lab, scenarios)
        return [
            reach.result(scenario, variant, chosen, pairing)
            for scenario in scenarios
            for variant in list(scenario.variants)[: 1 if quick else None]
            for pairing in pairings
        ]

    def check(self, target: str | Factory, select: str = "", *, strict: bool = False, **options: Any) -> list[Result]:
        """As `run`, and an AssertionError that says what is wrong, unless every claim that counts holds."""
        __tracebackhide__ = True
        results = self.run(target, select, **options)
        if exit_code(results, strict=strict):
            raise AssertionError("\n\n".join(text for text, _ in failures(results)))
        return results

    async def check_deferred_stream(self, make_stream: MakeStream, **options: Any) -> Report:
        """Prove that an adapter's stream opens late, once, and closes once: see `harness.contract`."""
        __tracebackhide__ = True
        return await check_deferred_stream(make_stream, **options)

    @contextmanager
    def contexts(self, origin: str = "http") -> Generator[Ledger]:
        """Whatever httpx, httpx2 and aiohttp open at this origin in the block is on the ledger's record.

        `ledger.assert_closed_once()` then says that one was opened, and closed once, by the task that opened it.
        """
        ledger = Ledger()
        with watching(ledger, origin):
            yield ledger

    @contextmanager
    def upstream(self, loop: Loop = "asyncio") -> Generator[Upstream]:
        """A fake upstream of the test's own, on a loop in a thread."""
        with start_blocking_portal(loop) as portal, portal.wrap_async_context_manager(fake_upstream()) as started:
            yield Upstream(started)


def spec_of(factory: Factory) -> str:
    """A factory as `--target` names it. It is imported anew in the child, so it must stand in a module of its own."""
    name = getattr(factory, "__qualname__", "")
    file = inspect.getsourcefile(factory)
    if file is None or not name.isidentifier():
        raise ValueError(
            f"target is {factory!r}: give a function or a class at the top of a module, or 'app:FILE:NAME'"
        )
    return f"app:{file}:{name}"


def _selected(select: str) -> list[Scenario]:
    scenarios = load_scenarios()
    found = [scenario for name, scenario in scenarios.items() if f"{name}/".startswith(f"{select}/" if select else "")]
    if not found:
        raise ValueError(f"select is {select!r}: there is no such scenario or family; there are {', '.join(scenarios)}")
    return found if select in scenarios else [scenario for scenario in found if not scenario.slow]

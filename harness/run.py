"""The only composer of I/O: puts stations together, has a scenario staged, and gives back the record.

Three stations, three event loops: the upstream and the client each on a loop in a thread of their own, the
target in a child process. Stations are made when first needed and used again; every target gets upstreams of
its own. Everything here may be called from several threads at once.
"""

from __future__ import annotations

import platform
import traceback
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, Future
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from itertools import count
from secrets import token_hex
from threading import Lock
from typing import Any

import httpx
from anyio.from_thread import BlockingPortal

from fake_upstream.pyav import CodecMissing
from harness.health import Health
from harness.hosting import Host, StartError
from harness.install import Progress
from harness.loops import Loop, Pairing
from harness.mounts import CANARY, Elsewhere, Mounted, Mounts
from harness.patience import Patience
from harness.portals import Portals
from harness.preset import Endpoint
from harness.record import Record
from harness.scenario import Scenario
from harness.stage import Route, SkipError, Stage, staging
from harness.target import Target
from harness.verdict import Result, judged


class Lab:
    """The stations, and what stands on them. A context manager: leaving it leaves nothing behind.

    `elsewhere` says where a target that somebody else has started finds its upstream; `progress` is told what goes on
    while a target is being installed or started. `options` are the words of a command without which a rerun of what
    we do not host would be another run. `host` is what apps are put on: InlineHost for one in this process.
    """

    def __init__(
        self,
        server: str = "hypercorn",
        elsewhere: Elsewhere | None = None,
        progress: Progress = lambda line: None,
        options: str = "",
        host: type[Host] = Host,
    ) -> None:
        self.server = server
        self.options = options
        self.nonce = token_hex(3)
        self._number = count()
        self._portals = Portals()
        self._mounts = Mounts(self._portals, server, elsewhere or Elsewhere(), progress, host)
        self._lock = Lock()
        self._under_way: set[Future[Record]] = set()
        self._interrupted = False

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *exc: object) -> None:
        self._mounts.close()
        self._portals.close()

    def loops_of(self, target: Target) -> tuple[Loop, ...]:
        """The loops that an app can run on. Raises MissingError or StartError."""
        return self._mounts.loops_of(target)

    def perform(
        self,
        scenario: Scenario,
        variant: str,
        target: Target,
        loops: Pairing,
        *,
        fresh: bool = False,
        copy: int = 0,
    ) -> Record:
        """Stage one variant and record it. What goes wrong with the target is in the record, not raised.

        `fresh` makes an app and an upstream for this one staging only, so that no other can have spoilt them. Another
        `copy` of a target, from 0, is another one, with another upstream; of one at a URL there is only copy 0.
        """
        if self._interrupted:
            raise CancelledError
        blank = Record(target.name, scenario.staging, variant, loops, environment=self._environment(target))
        apart = scenario.apart and bool(target.app)
        fresh = fresh or apart
        try:
            name = str(next(self._number)) if fresh else f"~{copy}" if copy else ""
            mounted = self._mounts.mount(target, loops, name, apart=apart)
        except StartError as error:
            return replace(blank, unsound=f"the target did not start: {error}")
        nonce = f"{self.nonce}{next(self._number):x}"
        health = None if fresh else mounted.health.setdefault(target.name, Health())
        inspect = partial(self._mounts.inspect, target, loops)
        play = partial(_perform, scenario, variant, nonce, mounted, target.endpoint, health, blank, inspect)
        with mounted.turns.alone() if scenario.alone else mounted.turns.together():
            record = self._call(self._portals.of("client", loops.client), play)
        runner = mounted.runner
        if runner and runner.died():
            record = replace(record, unsound=runner.epitaph(), output=runner.output())
            self._mounts.bury(runner)
        elif fresh:
            self._mounts.unmount(mounted)
        elif record.unsound:
            self._mounts.forget(mounted)  # the next staging gets one that nothing has happened to
        return record

    def judge(self, scenario: Scenario, record: Record) -> Result:
        return judged(scenario.claim, scenario.kind_of(record.variant), scenario.id, scenario.judge, record)

    def _environment(self, target: Target) -> dict[str, str]:
        said = {"options": self.options} if self.options and target.takes_options else {}
        return {**environment(self.server if target.app else ""), **said}

    def host_of(self, loop: Loop) -> Host | None:
        """The child process on a loop, if it was started."""
        return self._mounts.host_of(loop)

    def interrupt(self) -> None:
        """End what other threads have under way: to them `perform` raises CancelledError, from now on."""
        with self._lock:
            self._interrupted = True
            under_way = list(self._under_way)
        self._mounts.interrupt()
        for future in under_way:
            future.cancel()

    def _call(self, portal: BlockingPortal, play: Callable[[], Awaitable[Record]]) -> Record:
        """Run on the portal's loop; if we are interrupted, so is it."""
        with self._lock:
            if self._interrupted:
                raise CancelledError
            future = portal.start_task_soon(play)
            self._under_way.add(future)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise
        finally:
            with self._lock:
                self._under_way.discard(future)


async def _perform(
    scenario: Scenario,
    variant: str,
    nonce: str,
    mounted: Mounted,
    endpoint: Endpoint,
    health: Health | None,
    blank: Record,
    inspect: Callable[[], dict[str, Any]],
) -> Record:
    headers = endpoint.headers_for(mounted.upstream.url)
    route = Route(mounted.url + endpoint.path, headers, endpoint.model, endpoint.voice)
    body = route.body(CANARY, "mp3")

    async def answers(http: httpx.AsyncClient) -> bool:
        async with http.stream("POST", route.url, json=body, headers=dict(route.headers)) as answer:
            async for _ in answer.aiter_raw():  # what it says of its encoding may be wrong
                pass
            return answer.status_code == 200

    async def through_target(http: httpx.AsyncClient) -> None:
        await answers(http)

    async def to_upstream(http: httpx.AsyncClient) -> None:
        await http.get(mounted.upstream.control_url)  # answers also while the speech port refuses

    if health and (complaint := await health.complaint(answers, f"{scenario.staging}[{variant}]")):
        return replace(blank, unsound=complaint)
    patience = Patience(through_target, to_upstream, mounted.runner)
    seed = f"{scenario.staging}[{variant}]"
    stage = Stage(scenario.variants[variant], seed, nonce, route, mounted.upstream, patience, mounted.refusing)
    stage.declared = endpoint.declared
    stage.inspect = inspect
    ledger = mounted.runner.ledger if isinstance(mounted.runner, Host) else None
    before = len(ledger.contexts) if ledger else 0
    if mounted.runner and not ledger:  # what prints in our own process is not the target alone
        stage.output = partial(mounted.runner.printed, mounted.runner.mark())
    crashed = ""
    async with staging(stage):
        try:
            await scenario.play(stage)
        except (CodecMissing, SkipError) as error:
            return replace(blank, skipped=str(error))
        except StartError as error:
            return replace(blank, unsound=f"its stream could not be put to the contract: {error}")
        except Exception:  # our own mistake, as where a judge crashes
            crashed = f"the staging of {scenario.staging} crashed:\n{traceback.format_exc()}"
        exchanges = stage.exchanges()
        if ledger:  # now: as the stage closes, the upstream resets what is still open
            opened = [context for context in ledger.contexts[before:] if CANARY not in context.request]
            stage.facts["contexts"] = [context.to_json() for context in opened]
    mounted.upstream.journal.forget(CANARY)
    crash = next((e for exchange in exchanges for e in exchange.seen("crashed")), None)
    return replace(
        blank,
        exchanges=exchanges,
        waits=tuple(stage.waits),
        facts=stage.facts,
        unsound=f"the fake upstream crashed: {crash.note}" if crash else crashed,
    )


def environment(server: str) -> dict[str, str]:
    """What a reader of a trace wants to know of where it was made."""
    return {
        "server": server,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        **{name: version(name) for name in ("anyio", "httpx", "httpcore", "hypercorn", "trio")},
    }

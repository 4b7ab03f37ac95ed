"""The only composer of I/O: puts stations together, has a scenario staged, and gives back the record.

Three stations, three event loops: the upstream and the client each on a loop in a thread of their own, the
target in a child process. Stations are made when first needed and used again; every target gets upstreams of
its own. Everything here may be called from several threads at once.
"""

from __future__ import annotations

import platform
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from itertools import count
from secrets import token_hex
from threading import Lock
from typing import TypeVar

import httpx
from anyio import to_thread
from anyio.from_thread import BlockingPortal, start_blocking_portal

from fake_upstream.pacing import burst
from fake_upstream.pyav import CodecMissing
from fake_upstream.script import Script
from fake_upstream.upstream import FakeUpstream, fake_upstream
from harness.hosting import Host, StartError
from harness.loops import Loop, Pairing
from harness.patience import Patience
from harness.record import Record
from harness.scenario import Scenario
from harness.servers import LOOPS_OF_SERVER
from harness.stage import Route, Stage, staging
from harness.target import Target
from harness.turns import Turns
from harness.verdict import Result, judged

SPEECH = "/v1/audio/speech"
CANARY = "A canary of streamproof, to see whether requests pass."
CANARY_SCRIPT = Script(burst(1, 100), content_type="audio/mpeg")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Mounted:
    """A target on one loop, with the upstream it was pointed at and the loop that this one runs on."""

    host: Host
    url: str
    upstream: FakeUpstream
    portal: BlockingPortal
    turns: Turns
    close: Callable[[], None]

    @asynccontextmanager
    async def refusing(self) -> AsyncGenerator[None]:
        """The upstream refuses connections. On the client's loop; the upstream's is asked from a thread."""
        await to_thread.run_sync(self.portal.call, self.upstream.door.shut)
        try:
            yield
        finally:
            self.upstream.door.reopen()


class Lab:
    """The stations, and what is mounted on them. A context manager: leaving it leaves nothing behind."""

    def __init__(self, server: str = "hypercorn") -> None:
        self.server = server
        self.nonce = token_hex(3)
        self._number = count()
        self._lock = Lock()
        self._stack = ExitStack()
        self._portals: dict[tuple[str, Loop], BlockingPortal] = {}
        self._hosts: dict[Loop, Host] = {}
        self._mounted: dict[tuple[str, Loop, Loop], _Mounted] = {}
        self._failed: dict[tuple[str, Loop], str] = {}

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *exc: object) -> None:
        with self._lock:
            for host in self._hosts.values():
                host.stop()
            self._hosts.clear()
            self._mounted.clear()
            self._stack.close()

    def loops_of(self, target: Target) -> tuple[Loop, ...]:
        """The loops that a target can run on. Raises MissingError or StartError."""
        with self._lock:
            answer = self._host(next(iter(self._hosts), "asyncio")).command(do="describe", app=target.app)
        return tuple(loop for loop in LOOPS_OF_SERVER[self.server] if loop in answer["loops"])

    def perform(
        self, scenario: Scenario, variant: str, target: Target, loops: Pairing, *, fresh: bool = False
    ) -> Record:
        """Stage one variant and record it. What goes wrong with the target is in the record, not raised.

        `fresh` makes an app and an upstream for this one staging only, so that no other can have spoilt them.
        """
        blank = Record(target.name, scenario.staging, variant, loops, environment=environment(self.server))
        try:
            mounted = self._mount(target, loops, str(next(self._number)) if fresh else "")
        except StartError as error:
            return replace(blank, unsound=f"the target did not start: {error}")
        nonce = f"{self.nonce}{next(self._number):x}"
        play = partial(_perform, scenario, variant, nonce, mounted, blank)
        with mounted.turns.alone() if scenario.alone else mounted.turns.together():
            record = _call(self._portal("client", loops.client), play)
        if mounted.host.died():
            record = replace(record, unsound=mounted.host.epitaph(), output=mounted.host.output())
            with self._lock:
                self._bury(mounted.host)
        elif fresh:
            self._unmount(mounted)
        return record

    def judge(self, scenario: Scenario, record: Record) -> Result:
        return judged(scenario.claim, scenario.kind_of(record.variant), scenario.id, scenario.judge, record)

    def host_of(self, loop: Loop) -> Host | None:
        """The child process on a loop, if it was started."""
        return self._hosts.get(loop)

    def _unmount(self, mounted: _Mounted) -> None:
        with self._lock:
            for key in [key for key, other in self._mounted.items() if other is mounted]:
                del self._mounted[key]
            with suppress(StartError):
                mounted.host.command(do="unmount", url=mounted.url)
        mounted.close()

    def _mount(self, target: Target, loops: Pairing, name: str = "") -> _Mounted:
        assert loops.target is not None
        key = (target.name + name, loops.upstream, loops.target)
        with self._lock:
            if reason := self._failed.get((target.name, loops.target)):
                raise StartError(reason)
            if key not in self._mounted:
                host = self._host(loops.target)
                portal = self._portal("upstream", loops.upstream)
                managed: AbstractContextManager[FakeUpstream] = portal.wrap_async_context_manager(fake_upstream())
                opened = ExitStack()
                upstream = opened.enter_context(managed)
                upstream.runs.arm(CANARY, CANARY_SCRIPT)
                try:
                    url = host.command(do="mount", app=target.app, upstream=upstream.url)["url"]
                except StartError as error:
                    opened.close()
                    self._failed[target.name, loops.target] = str(error)
                    raise
                self._mounted[key] = _Mounted(host, url, upstream, portal, Turns(), opened.close)
                self._stack.callback(opened.close)
            return self._mounted[key]

    def _host(self, loop: Loop) -> Host:
        if loop in self._hosts and self._hosts[loop].state() == "dead":
            self._bury(self._hosts[loop])
        if loop not in self._hosts:
            self._hosts[loop] = Host(loop, self.server)
        return self._hosts[loop]

    def _bury(self, host: Host) -> None:
        """A dead child's apps are gone; the next one who needs them starts a new child."""
        if self._hosts.get(host.loop) is host:
            del self._hosts[host.loop]
            host.stop()
        for key in [key for key, mounted in self._mounted.items() if mounted.host is host]:
            del self._mounted[key]

    def _portal(self, station: str, loop: Loop) -> BlockingPortal:
        key = (station, loop)
        with _portals:
            if key not in self._portals:
                portal = start_blocking_portal(loop, name=f"streamproof-{station}-{loop}")
                self._portals[key] = self._stack.enter_context(portal)
            return self._portals[key]


_portals = Lock()


def _call(portal: BlockingPortal, function: Callable[[], Awaitable[T]]) -> T:
    """Run on the portal's loop; if we are interrupted, so is it."""
    future: Future[T] = portal.start_task_soon(function)
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


async def _perform(scenario: Scenario, variant: str, nonce: str, mounted: _Mounted, blank: Record) -> Record:
    route = Route(mounted.url + SPEECH)
    body = route.body(CANARY, "mp3")

    async def through_target(http: httpx.AsyncClient) -> None:
        async with http.stream("POST", route.url, json=body) as answer:
            async for _ in answer.aiter_raw():  # what it says of its encoding may be wrong
                pass

    async def to_upstream(http: httpx.AsyncClient) -> None:
        await http.get(mounted.upstream.control_url)  # answers also while the speech port refuses

    patience = Patience(through_target, to_upstream, mounted.host)
    seed = f"{scenario.staging}[{variant}]"
    stage = Stage(scenario.variants[variant], seed, nonce, route, mounted.upstream, patience, mounted.refusing)
    crashed = ""
    async with staging(stage):
        try:
            await scenario.play(stage)
        except CodecMissing as error:
            return replace(blank, skipped=str(error))
        except Exception:  # our own mistake, as where a judge crashes
            crashed = f"the staging of {scenario.staging} crashed:\n{traceback.format_exc()}"
        exchanges = stage.exchanges()
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

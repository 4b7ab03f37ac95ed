"""The stage: what a scenario's `play` may do. Plain imperative lines on the client's loop; it never judges.

client, upstream = await stage.ask(script)
if await client.holds(512):
    upstream.release()
client.leave(RESET)
await upstream.sees_the_target_leave()
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic_ns
from typing import Any, cast

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup

from fake_upstream.events import Event
from fake_upstream.script import Script
from fake_upstream.spoken import speech_script
from fake_upstream.upstream import FakeUpstream
from fake_upstream.utterance import Speech
from harness.client import Client
from harness.far_upstream import FarUpstream
from harness.hosting import MissingError
from harness.patience import FLOOR, Patience
from harness.preset import Declared
from harness.record import LET_GO, Exchange, Goal, Outcome, Wait
from harness.sockets import Leave
from harness.staged import StagedClient, StagedUpstream
from harness.texts import sentence

FIN: Leave = "fin"
RESET: Leave = "reset"


@dataclass(frozen=True, slots=True)
class Route:
    """How a request gets through the target: where to, and what it must say."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    model: str = "tts-1"
    voice: str = "alloy"

    def body(self, text: str, response_format: str) -> dict[str, str]:
        return {"model": self.model, "input": text, "voice": self.voice, "response_format": response_format}


class SkipError(Exception):
    """What a scenario needs is not there, and nobody is to blame: it is skipped. The message says what."""


class Stage:
    """One staging of one variant. `variant` is the value that the scenario gave it."""

    def __init__(
        self,
        variant: Any,
        seed: str,
        nonce: str,
        route: Route,
        upstream: FakeUpstream | FarUpstream,
        patience: Patience,
        refusing: Callable[[], AbstractAsyncContextManager[None]],
    ) -> None:
        self.variant = variant
        self.upstream = upstream
        self.route = route
        self.waits: list[Wait] = []
        self.declared = Declared()
        """What the target says of itself."""
        self.output: Callable[[], str] | None = None
        """What the target's process has printed since the staging began, if the process is ours."""
        self.inspect: Callable[[], dict[str, Any]]
        """Puts the app's own stream to the deferred-stream contract. For a thread; see `contract`."""
        self.facts: dict[str, Any] = {}
        """What a scenario counts besides, for its judge: JSON values by name."""
        self.refusing = refusing
        """`async with stage.refusing():` the upstream refuses connections; those it had are reset."""
        self._seed = seed
        self._nonce = nonce
        self._patience = patience
        self._clients: list[StagedClient] = []
        self._upstreams: list[StagedUpstream] = []
        self._tasks: TaskGroup

    async def ask(
        self,
        script: Script,
        *,
        fields: Mapping[str, Any] | None = None,
        garble: Callable[[bytes], bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        method: str = "POST",
        direct: bool = False,
    ) -> tuple[StagedClient, StagedUpstream]:
        """Send one request through the target; the upstream answers it by this script.

        `fields` change the request's JSON, `garble` its bytes, `headers` come on top of the usual ones (which ask for
        `identity`); `direct` asks the upstream itself.
        """
        index = len(self._clients)
        key = sentence(f"{self._seed}/{index}", f"{self._nonce}-{index}")
        run = self.upstream.runs.arm(key, script)
        client = StagedClient(self, index, Client(key))
        upstream = StagedUpstream(self, index, run)
        self._clients.append(client)
        self._upstreams.append(upstream)
        data = {**self.route.body(key, _format_of(script)), **(fields or {})}
        body = json.dumps(data, ensure_ascii=False).encode()
        url = f"{self.upstream.url}/audio/speech" if direct else self.route.url
        given = {"content-type": "application/json", **self.route.headers, **(headers or {})}
        self._tasks.start_soon(client.recorder.run, url, garble(body) if garble else body, given, method)
        return client, upstream

    async def spoken(self, speech: Speech) -> Script:
        """A script that says this, in chunks of a tenth of a second. Raises CodecMissing without PyAV."""
        return await to_thread.run_sync(speech_script, speech)

    @property
    def open_connections(self) -> int:
        """How many connections the upstream has now."""
        return self.upstream.connections

    async def rests_with(self, most: int) -> int:
        """Wait until the upstream has at most so many connections.

        The answer is how many it has then. A client may hold its whole response before its proxy has closed the
        connection that it came on.
        """
        what = f"the upstream has at most {most} connections"
        last = len(self._upstreams) - 1
        await self.wait("saw", what, last, self.upstream.journal.until, lambda: self.open_connections <= most)
        return self.open_connections

    async def close_idle(self) -> None:
        """Have the upstream send FIN on every connection that waits for a request.

        A client may hold the end of its response before the upstream's connection waits again: that is awaited.
        """
        for upstream in self._upstreams:
            if upstream.keeps_its_connection:
                await upstream.saw("recycled", *LET_GO, staging=True)
        self.upstream.close_idle()

    async def printed(self) -> str | None:
        """What the target's process has printed since the staging began; None if the process is not ours."""
        return await to_thread.run_sync(self.output) if self.output else None

    async def contract(self) -> list[dict[str, Any]]:
        """Wait until the app's own stream was taken through all courses of the deferred-stream contract.

        In a process of its own. The answer is a list of courses (deferred.py) as JSON. Raises SkipError where the
        target's module offers no such stream.
        """
        try:
            found = await to_thread.run_sync(self.inspect, abandon_on_cancel=True)
        except MissingError as error:
            raise SkipError(str(error)) from error
        return cast(list[dict[str, Any]], found["courses"])

    async def wait(
        self,
        goal: Goal,
        what: str,
        exchange: int,
        until: Callable[[Callable[[], bool]], Awaitable[None]],
        condition: Callable[[], bool],
        floor: float = FLOOR,
        over: Callable[[], bool] = lambda: False,
        staging: bool = False,
        come: Callable[[], int] = lambda: 0,
    ) -> bool:
        """Wait until a condition holds, or `over` says it no longer can, or patience is spent. Recorded.

        `come` counts what has come of it: while that grows, no patience is spent.
        """
        began = monotonic_ns()
        outcome: Outcome
        outcome, trips = await self._patience.wait(lambda: until(lambda: condition() or over()), floor, come)
        if outcome == "happened" and not condition():
            outcome = "ended"
        if outcome == "never" and goal == "passed":
            outcome = "happened"
        self.waits.append(Wait(goal, what, exchange, outcome, began, monotonic_ns(), trips, staging))
        return outcome == "happened"

    async def let_pass(self, floor: float = 0.0) -> bool:
        """Let small requests pass through the target, so many as patience asks for: it has been at work since."""
        return await self.wait(
            "passed", "small requests pass", 0, lambda _: anyio.sleep_forever(), lambda: False, floor, staging=True
        )

    def exchanges(self) -> tuple[Exchange, ...]:
        """What both ends have on record so far."""
        return tuple(
            Exchange(
                up.run.key,
                up.run.script,
                self.upstream.journal.of(up.run.key) or self._strays(up.run.key),
                tuple(cl.recorder.events),
                bytes(cl.recorder.body),
                cl.recorder.status,
                cl.recorder.headers,
                cl.recorder.request.decode(errors="replace"),
            )
            for cl, up in zip(self._clients, self._upstreams, strict=True)
        )

    def _strays(self, key: str) -> tuple[Event, ...]:
        """A request may have reached the upstream in a form in which it does not know its script any more."""
        strays = self.upstream.journal.of("")
        nonce = key.rpartition("(")[2].rstrip(")")
        requests = {event.request for event in strays if event.what == "asked" and nonce in event.body}
        return tuple(event for event in strays if event.request in requests)

    def close(self) -> None:
        """Let everybody go: clients leave, what the upstream still plays is reset, its pages are torn out."""
        for client in self._clients:
            client.recorder.leave(RESET)
        for upstream in self._upstreams:
            self.upstream.runs.disarm(upstream.run.key)
            self.upstream.journal.forget(upstream.run.key)


@asynccontextmanager
async def staging(stage: Stage) -> AsyncGenerator[Stage]:
    """Open a stage; whatever happens, nothing of it is left behind."""
    async with anyio.create_task_group() as tasks:
        stage._tasks = tasks
        try:
            yield stage
        finally:
            stage.close()
            tasks.cancel_scope.cancel()


def _format_of(script: Script) -> str:
    """The `response_format` that fits a script's content type."""
    kind = script.content_type.partition(";")[0].rpartition("/")[2]
    return {"mpeg": "mp3", "wav": "wav", "pcm": "pcm"}.get(kind, "mp3")

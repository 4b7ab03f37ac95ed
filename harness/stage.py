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
from typing import Any

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup

from fake_upstream.events import Event
from fake_upstream.runs import Run
from fake_upstream.script import Script
from fake_upstream.spoken import speech_script
from fake_upstream.sse import AudioDecoder
from fake_upstream.upstream import FakeUpstream
from fake_upstream.utterance import Speech
from harness.client import Client
from harness.patience import CLOSE_FLOOR, FLOOR, Patience
from harness.record import LET_GO, Exchange, Goal, Outcome, Wait
from harness.sockets import Leave
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


class Stage:
    """One staging of one variant. `variant` is the value that the scenario gave it."""

    def __init__(
        self,
        variant: Any,
        seed: str,
        nonce: str,
        route: Route,
        upstream: FakeUpstream,
        patience: Patience,
        refusing: Callable[[], AbstractAsyncContextManager[None]],
    ) -> None:
        self.variant = variant
        self.upstream = upstream
        self.route = route
        self.waits: list[Wait] = []
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
        direct: bool = False,
    ) -> tuple[StagedClient, StagedUpstream]:
        """Send one request through the target; the upstream answers it by this script.

        `fields` change the request's JSON, `garble` its bytes; `direct` asks the upstream itself.
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
        headers = {"content-type": "application/json", **self.route.headers}
        self._tasks.start_soon(client.recorder.run, url, garble(body) if garble else body, headers)
        return client, upstream

    async def spoken(self, speech: Speech) -> Script:
        """A script that says this, in chunks of a tenth of a second. Raises CodecMissing without PyAV."""
        return await to_thread.run_sync(speech_script, speech)

    @property
    def open_connections(self) -> int:
        """How many connections the upstream has now."""
        return len(self.upstream.door.wires)

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
    ) -> bool:
        """Wait until a condition holds, or `over` says it no longer can, or patience is spent. Recorded."""
        began = monotonic_ns()
        outcome: Outcome
        outcome, trips = await self._patience.wait(lambda: until(lambda: condition() or over()), floor)
        if outcome == "happened" and not condition():
            outcome = "ended"
        self.waits.append(Wait(goal, what, exchange, outcome, began, monotonic_ns(), trips, staging))
        return outcome == "happened"

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


class StagedClient:
    """The client's end of one request, as a scenario commands it."""

    def __init__(self, stage: Stage, index: int, recorder: Client) -> None:
        self.stage = stage
        self.index = index
        self.recorder = recorder
        self._decoder = AudioDecoder()
        self._heard = 0
        self._audio = b""

    async def _until(
        self, goal: Goal, what: str, condition: Callable[[], bool], floor: float = FLOOR, staging: bool = False
    ) -> bool:
        recorder = self.recorder
        happened = await self.stage.wait(
            goal, what, self.index, recorder.notice.until, condition, floor, over=lambda: recorder.over, staging=staging
        )
        if not happened and not recorder.over:
            recorder.note("timed_out", note=what)
        return happened

    async def has_head(self, *, staging: bool = False) -> bool:
        """Wait until the client has status and headers. `staging`: to put the claim to the test, not as the claim."""
        return await self._until(
            "head", "the client has the head", lambda: self.recorder.status is not None, staging=staging
        )

    async def holds(self, size: int, *, staging: bool = False) -> bool:
        """Wait until the client holds `size` body bytes."""
        return await self._until(
            "holds", f"the client holds {size} bytes", lambda: len(self.recorder.body) >= size, staging=staging
        )

    async def hears(self, size: int) -> bool:
        """Wait until the events that came carry `size` bytes of audio."""
        what = f"the client hears {size} bytes of audio"
        return await self._until("holds", what, lambda: len(self._hear()) >= size)

    def _hear(self) -> bytes:
        self._audio += self._decoder.feed(bytes(self.recorder.body[self._heard :]))
        self._heard = len(self.recorder.body)
        return self._audio

    async def ends(self) -> bool:
        """Wait until the response is over, well or badly."""
        return await self._until("over", "the client's response is over", lambda: self.recorder.over, CLOSE_FLOOR)

    def leave(self, how: Leave) -> None:
        """Close the client's connection."""
        self.recorder.leave(how)

    def pause(self) -> None:
        self.recorder.pause()

    def resume(self) -> None:
        self.recorder.resume()


class StagedUpstream:
    """The upstream's end of one request, as a scenario commands it."""

    def __init__(self, stage: Stage, index: int, run: Run) -> None:
        self.stage = stage
        self.index = index
        self.run = run

    def release(self, gates: int | None = 1) -> None:
        """Open the script's next gates; None opens all."""
        self.run.release(gates)

    async def saw(self, *kinds: str, what: str = "", floor: float = FLOOR, staging: bool = False) -> bool:
        """Wait for the upstream's first event of one of these kinds."""
        journal, key = self.stage.upstream.journal, self.run.key
        text = what or f"the upstream notes {' or '.join(kinds)}"
        return await self.stage.wait(
            "saw",
            text,
            self.index,
            journal.until,
            lambda: journal.first(key, kinds) is not None,
            floor,
            staging=staging,
        )

    async def sees_the_target_leave(self) -> bool:
        """Wait until the upstream sees its connection closed or reset by the target."""
        return await self.saw(*LET_GO, what="the upstream sees the target leave", floor=CLOSE_FLOOR)

    async def is_done_with(self) -> bool:
        """Wait until the target has left or the script is played to its end."""
        return await self.saw(*LET_GO, "finished", what="the upstream is done with", floor=CLOSE_FLOOR)


def _format_of(script: Script) -> str:
    """The `response_format` that fits a script's content type."""
    kind = script.content_type.partition(";")[0].rpartition("/")[2]
    return {"mpeg": "mp3", "wav": "wav", "pcm": "pcm"}.get(kind, "mp3")

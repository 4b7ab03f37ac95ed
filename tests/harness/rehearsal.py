"""A stage on which nothing is real: a scenario's own `play` runs, waits come out as they are told, and nobody speaks.

So a test has the waits and the requests that a staging leaves behind, for any course that it may take.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import MagicMock

import pytest
from builders import PAIRING

from fake_upstream.pyav import CodecMissing
from fake_upstream.upstream import FakeUpstream
from harness.record import Exchange, Goal, Outcome, Record, Wait
from harness.scenario import Scenario
from harness.stage import Route, Stage


class Rehearsal(Stage):
    """`outcomes` are those of the waits, one after the other; once they are spent, everything happens."""

    def __init__(self, variant: Any, outcomes: Iterable[Outcome]) -> None:
        upstream = FakeUpstream()
        upstream.url = "http://upstream/v1"
        upstream.door = cast(Any, SimpleNamespace(wires=[MagicMock()] * 12))
        route = Route("http://target/v1/audio/speech")
        super().__init__(variant, "seed", "nonce", route, upstream, cast(Any, None), lambda: nullcontext())
        self._tasks = cast(Any, SimpleNamespace(start_soon=_remember_request))
        self.inspect = lambda: {"courses": []}
        self.outcomes = iter(outcomes)

    async def wait(self, goal: Goal, what: str, exchange: int, *conditions: object, **more: object) -> bool:
        at = len(self.waits) * 10
        self.waits.append(Wait(goal, what, exchange, next(self.outcomes, "happened"), at, at + 5, 25))
        return self.waits[-1].happened


def _remember_request(run: Any, url: str, body: bytes, *rest: object) -> None:
    run.__self__.request = body


def rehearse(scenario: Scenario, variant: str, outcomes: Iterable[Outcome] = ()) -> Record:
    """The record that the scenario's staging leaves if its waits come out like this and nobody does anything."""

    async def play() -> tuple[Exchange, ...]:
        await scenario.play(stage)
        return stage.exchanges()

    stage = Rehearsal(scenario.variants[variant], outcomes)
    try:
        exchanges = asyncio.run(play())
    except CodecMissing as error:
        pytest.skip(str(error))
    return Record("target", scenario.staging, variant, PAIRING, exchanges, tuple(stage.waits), facts=stage.facts)

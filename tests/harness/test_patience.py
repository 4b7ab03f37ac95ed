"""How long "never" is: progress of the target, counted and credited; never a clock alone.

The constants are made small, and canaries and process are fakes: the tests wait for outcomes, not for seconds.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from importlib.util import find_spec, module_from_spec
from typing import Any
from unittest.mock import patch

import anyio
import httpcore
import httpx
import pytest

from harness import patience
from harness.patience import Patience, _Progress
from harness.record import Outcome

GUARD = 30.0
Canary = Callable[[httpx.AsyncClient], Awaitable[None]]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"GRACE": 0.0, "PAUSE": 0.0, "TRIPS": 5, "STUCK": 0.02, "CREDIT": 0.01, "MUTE": GUARD}.items():
        monkeypatch.setattr(patience, name, value)


class Process:
    """A process in these states, one after the other; the last one stays."""

    def __init__(self, *states: str) -> None:
        self.states = list(states)

    def state(self) -> str:
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]


class Counted:
    """A canary that gets through, and counts."""

    def __init__(self) -> None:
        self.trips = 0

    async def __call__(self, http: httpx.AsyncClient) -> None:
        self.trips += 1


async def through(http: httpx.AsyncClient) -> None:
    """A canary that gets through."""


async def stuck(http: httpx.AsyncClient) -> None:
    """A canary that does not come back."""
    await anyio.sleep_forever()


def failing(error: Exception) -> Canary:
    async def canary(http: httpx.AsyncClient) -> None:
        raise error

    return canary


async def waited(
    subject: Patience, happening: Callable[[], Awaitable[None]], floor: float = 0.02
) -> tuple[Outcome, int]:
    with anyio.fail_after(GUARD):
        return await subject.wait(happening, floor)


async def test_what_happens_at_once_happened_and_no_canary_is_sent(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What works needs no patience, and pays for none."""
    monkeypatch.setattr(patience, "GRACE", GUARD * 2)
    canary = Counted()
    assert await waited(Patience(canary, canary), anyio.lowlevel.checkpoint) == ("happened", 0)
    assert canary.trips == 0


async def test_what_happens_while_canaries_fly_happened(loop: str) -> None:
    seen = anyio.Event()

    async def canary(http: httpx.AsyncClient) -> None:
        seen.set()

    outcome, _ = await waited(Patience(canary, through), seen.wait, floor=1e9)
    assert outcome == "happened"


async def test_what_happens_late_says_how_many_canaries_had_passed(loop: str) -> None:
    """So a staging can tell what came at once from what came after a while."""
    enough = anyio.Event()
    canary = Counted()

    async def counting(http: httpx.AsyncClient) -> None:
        await canary(http)
        if canary.trips == 7:
            enough.set()

    outcome, trips = await waited(Patience(counting, through), enough.wait, floor=1e9)
    assert outcome == "happened"
    assert trips >= 6  # the seventh may still be on its way back


async def test_what_does_not_happen_is_never_after_so_many_trips(loop: str) -> None:
    canary = Counted()
    outcome, trips = await waited(Patience(canary, through, Process("running")), anyio.sleep_forever, floor=0)
    assert outcome == "never"
    assert patience.TRIPS <= trips <= canary.trips


async def test_trips_alone_are_not_enough_the_floor_must_be_reached_too(
    loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each trip is worth at most CREDIT seconds: a floor of 50 credits takes 50 trips at least."""
    monkeypatch.setattr(patience, "CREDIT", 1e-6)
    outcome, trips = await waited(Patience(through, through, Process("running")), anyio.sleep_forever, floor=50e-6)
    assert outcome == "never"
    assert trips >= 50


async def test_the_floor_alone_is_not_enough_so_many_trips_must_have_passed(
    loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "TRIPS", 40)
    outcome, trips = await waited(Patience(through, through, Process("running")), anyio.sleep_forever, floor=0)
    assert (outcome, trips >= 40) == ("never", True)


async def test_while_something_comes_of_it_no_patience_is_spent(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow proxy: a byte with each canary, far more canaries than patience would last for."""
    canary, done = Counted(), anyio.Event()

    async def counting(http: httpx.AsyncClient) -> None:
        await canary(http)
        if canary.trips == 20 * patience.TRIPS:
            done.set()

    with anyio.fail_after(GUARD):
        outcome, trips = await Patience(counting, through).wait(done.wait, 0, lambda: canary.trips)
    assert (outcome, trips >= 20 * patience.TRIPS - 1) == ("happened", True)


async def test_when_it_no_longer_comes_patience_is_spent_as_ever(loop: str) -> None:
    canary, came = Counted(), 3 * patience.TRIPS
    with anyio.fail_after(GUARD):
        outcome, trips = await Patience(canary, through).wait(anyio.sleep_forever, 0, lambda: min(canary.trips, came))
    assert outcome == "never"
    assert trips >= came + patience.TRIPS


async def test_signs_of_life_do_not_keep_us_for_ever(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "TRICKLE", 0.05)
    canary = Counted()
    with anyio.fail_after(GUARD):
        outcome, _ = await Patience(canary, through).wait(anyio.sleep_forever, 0, lambda: canary.trips)
    assert outcome == "never"


@pytest.mark.parametrize(
    ("process", "outcome"),
    [
        (Process("running"), "wedged"),
        (Process("stopped"), "stopped"),
        (None, "silent"),
        (Process("running", "running", "stopped"), "stopped"),
    ],
    ids=["running", "stopped", "not ours", "stopped meanwhile"],
)
async def test_a_target_through_which_nothing_passes_is_not_said_to_do_nothing(
    loop: str, process: Process | None, outcome: Outcome
) -> None:
    """Our own machine runs, the canary to the upstream shows it; so it is the target, and what is known of it."""
    states = list(process.states) if process else []
    subject = Patience(stuck, through, Process(*states) if process else None)
    assert await waited(subject, anyio.sleep_forever) == (outcome, 0)


async def test_a_dead_process_ends_the_wait_at_once(loop: str) -> None:
    subject = Patience(stuck, stuck, Process("running", "running", "dead"))
    assert await waited(subject, anyio.sleep_forever, floor=1e9) == ("dead", 0)


async def test_a_machine_on_which_nothing_runs_accuses_nobody(loop: str) -> None:
    """Neither canary comes back: that says nothing about the target. The wait goes on until one does."""
    ours = anyio.Event()

    async def direct(http: httpx.AsyncClient) -> None:
        await ours.wait()

    async def wait() -> None:
        nonlocal outcome
        outcome, _ = await waited(Patience(stuck, direct, Process("running")), anyio.sleep_forever)

    outcome: Outcome | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        for _ in range(200):
            await anyio.sleep(0)
        assert outcome is None
        ours.set()
    assert outcome == "wedged"


async def test_a_machine_on_which_nothing_ever_runs_is_given_up_as_silent(
    loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "MUTE", 0.02)
    assert await waited(Patience(stuck, stuck, Process("running")), anyio.sleep_forever) == ("silent", 0)


async def test_a_trip_through_the_target_begins_the_count_of_the_stuck_anew(
    loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow target is not a wedged one: what counts is how long nothing passed, not how long it all took."""
    monkeypatch.setattr(patience, "STUCK", 0.0)  # only the trips count
    target, ours = Paced(1), Paced(patience.TRIPS - 1)
    target.other, ours.other = ours, target
    outcome, trips = await waited(Patience(target, ours, Process("running")), anyio.sleep_forever, floor=0)
    assert outcome == "never"
    assert trips >= patience.TRIPS


class Paced:
    """Two canaries that take turns: so many trips of the one, so many of the other."""

    other: Paced

    def __init__(self, most: int) -> None:
        self.most = most
        self.left = most if most == 1 else 0
        self.mine = anyio.Event()

    async def __call__(self, http: httpx.AsyncClient) -> None:
        while not self.left:
            await self.mine.wait()
            self.mine = anyio.Event()
        self.left -= 1
        if not self.left:
            self.other.left = self.other.most
            self.other.mine.set()


@pytest.mark.parametrize(
    "error",
    [
        httpcore.ReadError("ECONNRESET"),
        httpcore.ConnectError("ECONNREFUSED"),
        httpcore.RemoteProtocolError("no HTTP"),
        httpx.DecodingError("no gzip"),
        httpx.RemoteProtocolError("Invalid URL in location header"),
    ],
    ids=lambda error: f"{type(error).__module__}.{type(error).__name__}",
)
async def test_a_canary_that_fails_is_no_progress(loop: str, error: Exception) -> None:
    """A target that resets everything, or answers nonsense, has let nothing through."""
    assert await waited(Patience(failing(error), through, Process("running")), anyio.sleep_forever) == ("wedged", 0)


async def test_failing_trips_between_good_ones_do_not_count(loop: str) -> None:
    tries = 0

    async def every_other(http: httpx.AsyncClient) -> None:
        nonlocal tries
        tries += 1
        if tries % 2:
            raise httpcore.ReadError("ECONNRESET")

    outcome, trips = await waited(Patience(every_other, through, Process("running")), anyio.sleep_forever, floor=0)
    assert outcome == "never"
    assert trips <= tries // 2


async def test_what_happens_in_the_same_moment_as_never_happened(loop: str) -> None:
    """In doubt for the target."""
    canary = Counted()
    done = anyio.Event()

    async def last_moment(http: httpx.AsyncClient) -> None:
        await canary(http)
        if canary.trips >= patience.TRIPS:
            done.set()

    outcome, _ = await waited(Patience(last_moment, through, Process("running")), done.wait, floor=0)
    assert outcome == "happened"


async def test_nothing_is_left_running_after_a_wait(loop: str) -> None:
    """Neither canaries nor the one who watched: the next wait begins with a clean slate."""
    canary, watching = Counted(), 0

    async def watch() -> None:
        nonlocal watching
        watching += 1
        try:
            await anyio.sleep_forever()
        finally:
            watching -= 1

    await waited(Patience(canary, through, Process("running")), watch, floor=0)
    before = canary.trips
    for _ in range(50):
        await anyio.sleep(0)
    assert (watching, canary.trips) == (0, before)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Time stands still but for what a test lets pass."""
    now = [1_000.0]
    monkeypatch.setattr(patience, "monotonic", lambda: now[0])
    monkeypatch.setattr(patience, "CREDIT", 0.25)

    def sleep(seconds: float) -> None:
        now[0] += seconds

    return sleep


def progress() -> _Progress:
    return _Progress(last=patience.monotonic())


def test_progress_adds_up_what_lies_between_trips(clock: Any) -> None:
    subject = progress()
    for _ in range(10):
        clock(0.1)
        subject.trip()
    assert subject.trips == 10
    assert subject.seconds == pytest.approx(1.0)


def test_a_long_pause_between_trips_is_not_credited_as_patience(clock: Any) -> None:
    """A proxy that was stopped for a minute has not had a minute to deliver."""
    subject = progress()
    clock(0.1)
    subject.trip()
    clock(60)
    subject.trip()
    clock(0.1)
    subject.trip()
    assert subject.trips == 3
    assert subject.seconds == pytest.approx(0.1 + 0.25 + 0.1)


def test_trips_in_no_time_are_worth_nothing(clock: Any) -> None:
    subject = progress()
    for _ in range(1_000):
        subject.trip()
    assert (subject.trips, subject.seconds) == (1_000, 0.0)


def test_the_first_trip_is_worth_the_time_since_the_beginning(clock: Any) -> None:
    subject = progress()
    clock(0.2)
    subject.trip()
    assert subject.seconds == pytest.approx(0.2)


def test_the_documented_constants() -> None:
    """The architecture promises them: at least 3 s and 25 trips; 15 s until wedged; 10 s for closes."""
    found = find_spec("harness.patience")
    assert found is not None
    assert found.loader is not None
    fresh = module_from_spec(found)
    with patch.dict(sys.modules, {"harness.patience": fresh}):
        found.loader.exec_module(fresh)
    assert (fresh.FLOOR, fresh.TRIPS, fresh.STUCK, fresh.CLOSE_FLOOR) == (3.0, 25, 15.0, 10.0)
    assert fresh.CREDIT < fresh.FLOOR / 10, "one trip after a long pause must be worth little"

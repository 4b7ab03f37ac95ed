"""What a staged client takes in: content out of codings, audio out of events, fields from behind the body."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any, cast

import pytest
from rehearsal import Rehearsal

from fake_upstream import sse
from fake_upstream.pacing import burst
from fake_upstream.script import Script
from harness.client import Client
from harness.stage import Stage
from harness.staged import StagedClient

SCRIPT = Script(burst(1, 1), content_type="audio/wav")
USAGE = sse.Usage(1, 2, 3)


class Impatient:
    """A stage whose waits come out as things are."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bool]] = []

    async def wait(
        self,
        goal: str,
        what: str,
        exchange: int,
        until: object,
        condition: Callable[[], bool],
        *rest: object,
        **more: Any,
    ) -> bool:
        self.asked.append((goal, what, more["staging"]))
        return condition()


class Received(Client):
    """A recorder that has got what a test says."""

    last = b""

    @property
    def tail(self) -> bytes:
        return self.last


def staged(headers: tuple[tuple[str, str], ...] = ()) -> tuple[StagedClient, Received]:
    recorder = Received("key")
    recorder.headers = headers
    return StagedClient(cast(Stage, Impatient()), 0, recorder), recorder


@pytest.mark.parametrize("coding", ["", "gzip"])
async def test_unpacking_counts_content_as_it_comes(loop: str, coding: str) -> None:
    client, recorder = staged((("content-encoding", coding),) if coding else ())
    pieces = [gzip.compress(b"abc"), gzip.compress(b"defg")] if coding else [b"abc", b"defg"]
    assert not await client.unpacks(1)
    for piece, size in zip(pieces, (3, 7), strict=True):
        recorder.body += piece[:-1]
        assert await client.unpacks(size) is bool(coding), "the last byte of a member is its checksum's"
        recorder.body += piece[-1:]
        assert await client.unpacks(size)
        assert not await client.unpacks(size + 1)


@pytest.mark.parametrize("coding", ["gzip", "br"])
async def test_what_cannot_be_unpacked_is_not_there(loop: str, coding: str) -> None:
    client, recorder = staged((("content-encoding", coding),))
    recorder.body += b"audio, as it is"
    assert not await client.unpacks(1)
    recorder.body += b", and more"
    assert not await client.unpacks(1)


async def test_hearing_counts_the_audio_in_whole_events(loop: str) -> None:
    client, recorder = staged()
    stream = sse.delta(b"abc") + sse.delta(b"defg")
    recorder.body += stream[:-1]
    assert await client.hears(3)
    assert not await client.hears(4)
    recorder.body += stream[-1:]
    assert await client.hears(7, staging=True)
    assert not await client.hears_the_end()
    recorder.body += sse.done(USAGE)
    assert await client.hears_the_end()
    assert [goal for goal, _, _ in cast(Impatient, client.stage).asked] == ["holds"] * 5
    assert [staging for _, _, staging in cast(Impatient, client.stage).asked] == [False, False, True, False, False]


async def test_leave_is_the_recorders_to_see_and_the_body_the_plays_to_send(loop: str) -> None:
    client, recorder = staged()
    assert not await client.has_leave()
    recorder.has_leave = True
    assert await client.has_leave()


@pytest.mark.parametrize(
    ("last", "trailers"),
    [
        (b"", []),
        (b"9\r\naudio\r\n0\r\n\r\n", []),
        (b"9\r\naudio\r\n0\r\nX-Checksum: c0ffee\r\nx:y\r\n\r\n", [("x-checksum", "c0ffee"), ("x", "y")]),
        (b"no chunks: at all\r\n\r\n", []),
    ],
)
async def test_trailers_stand_behind_the_last_chunk(loop: str, last: bytes, trailers: list[tuple[str, str]]) -> None:
    client, recorder = staged()
    recorder.last = last
    assert client.trailers == trailers


async def test_a_request_says_what_its_scenario_wants(loop: str) -> None:
    stage = Rehearsal(None, [])
    started: list[tuple[Any, ...]] = []
    stage._tasks = cast(Any, type("Tasks", (), {"start_soon": lambda self, *given: started.append(given)})())
    await stage.ask(SCRIPT, headers={"accept-encoding": "gzip", "content-type": "text/json"}, method="HEAD")
    await stage.ask(SCRIPT)
    (_, _, body, headers, method), (_, _, _, plain, usual) = started
    assert (method, usual) == ("HEAD", "POST")
    assert headers == {"content-type": "text/json", "accept-encoding": "gzip"}
    assert plain == {"content-type": "application/json"}
    assert json.loads(body)["response_format"] == "wav"

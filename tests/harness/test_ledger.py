"""The ledger sees who entered and who left, with httpx, any context and a lost generator, and changes nothing."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest

from fake_upstream.pacing import lockstep
from fake_upstream.script import Script
from fake_upstream.upstream import fake_upstream
from harness.contexts import troubles
from harness.ledger import Ledger
from harness.places import asker, is_collecting
from harness.watch import watching

pytestmark = pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")
URL = "http://upstream/v1/audio/speech"


class Body(httpx.AsyncByteStream):
    """Two chunks; `extra` is of its own, as that of other transports may be."""

    extra = "mine"

    def __init__(self) -> None:
        self.closed = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"one"
        await anyio.sleep(0)
        yield b"two"

    async def aclose(self) -> None:
        await anyio.sleep(0)
        self.closed += 1


class Transport(httpx.AsyncBaseTransport):
    def __init__(self) -> None:
        self.bodies: list[Body] = []
        self.closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await anyio.sleep(0)
        if request.url.path == "/refused":
            raise httpx.ConnectError("refused")
        self.bodies.append(Body())
        return httpx.Response(
            200, headers={"x-mine": "1"}, stream=self.bodies[-1], extensions={"http_version": b"HTTP/1.1"}
        )

    async def aclose(self) -> None:
        self.closed = True


@asynccontextmanager
async def resource() -> AsyncGenerator[str]:
    yield "value"


async def test_a_response_opened_and_closed_is_one_context_and_nothing_is_changed(loop: str) -> None:
    ledger, transport = Ledger(), Transport()
    watched = ledger.transport(transport)
    assert isinstance(watched, httpx.AsyncBaseTransport)
    async with httpx.AsyncClient(transport=watched) as http, http.stream("POST", URL) as response:
        assert (response.headers["x-mine"], response.http_version) == ("1", "HTTP/1.1")
        assert [data async for data in response.aiter_raw()] == [b"one", b"two"]
        assert watched.bodies is transport.bodies
    assert (transport.bodies[0].closed, transport.closed) == (1, True)
    ledger.assert_closed_once()
    (context,) = ledger.contexts
    assert context.what == f"POST {URL}"
    assert context.enters[0].place.startswith("tests/harness/test_ledger.py:")
    assert (context.enters[0].task, context.enters[0].library) == (1, loop)


async def test_a_response_that_is_never_closed_is_told_by_its_place(loop: str) -> None:
    ledger = Ledger()
    async with httpx.AsyncClient(transport=ledger.transport(Transport())) as http:
        await http.send(http.build_request("POST", URL), stream=True)
    with pytest.raises(
        AssertionError, match=r"entered at tests/harness/test_ledger\.py:\d+ by task 1.*and never exited"
    ):
        ledger.assert_closed_once()


async def test_none_and_several_are_not_one(loop: str) -> None:
    ledger = Ledger()
    with pytest.raises(AssertionError, match="0 contexts were opened, expected 1"):
        ledger.assert_closed_once()
    async with httpx.AsyncClient(transport=ledger.transport(Transport())) as http:
        for _ in range(2):
            await http.post(URL)
    with pytest.raises(AssertionError, match="2 contexts were opened, expected 1"):
        ledger.assert_closed_once()
    ledger.assert_closed_once(2)


async def test_an_open_that_fails_raises_as_before_and_leaves_nothing_to_close(loop: str) -> None:
    ledger = Ledger()
    async with httpx.AsyncClient(transport=ledger.transport(Transport())) as http:
        with pytest.raises(httpx.ConnectError):
            await http.post("http://upstream/refused")
    (context,) = ledger.contexts
    assert "refused" in context.failed
    assert context.clean
    ledger.assert_closed_once(0)


async def test_another_task_is_another_task_also_when_the_first_is_long_gone(loop: str) -> None:
    ledger = Ledger()
    async with httpx.AsyncClient(transport=ledger.transport(Transport())) as http:
        responses: list[httpx.Response] = []

        async def open_it() -> None:
            responses.append(await http.send(http.build_request("POST", URL), stream=True))

        for _ in range(20):  # a new task may well stand where the last one stood in memory
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(open_it)
            gc.collect()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(responses.pop().aclose)
    assert [set(troubles(context)) for context in ledger.contexts] == [{"wrong_task"}] * 20


async def test_another_event_loop_is_told_from_another_task(loop: str) -> None:
    ledger = Ledger()
    context = ledger.context(resource(), "it")
    await context.__aenter__()

    async def leave() -> None:
        await context.__aexit__(None, None, None)

    thread = threading.Thread(target=anyio.run, args=(leave,), kwargs={"backend": loop})
    thread.start()
    await anyio.to_thread.run_sync(thread.join)
    assert set(troubles(ledger.contexts[0])) == {"wrong_loop"}


async def test_a_generator_that_is_lost_is_closed_by_garbage_collection(loop: str) -> None:
    ledger = Ledger()

    async def lost(context: Any) -> AsyncGenerator[str]:
        async with context as value:
            yield value

    context = ledger.context(resource(), "it")
    items = lost(context)
    assert await anext(items) == "value"
    del items
    gc.collect()
    while not ledger.contexts[0].exits:
        await anyio.sleep(0)
    assert set(troubles(ledger.contexts[0])) == {"collected"}
    assert ledger.contexts[0].exits[0].error == "GeneratorExit"


async def test_a_generator_closed_by_another_task_is_the_wrong_task_and_no_collection(loop: str) -> None:
    ledger = Ledger()

    async def kept(context: Any) -> AsyncGenerator[str]:
        async with context as value:
            yield value

    items = kept(ledger.context(resource(), "it"))
    await anext(items)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(items.aclose)
    assert set(troubles(ledger.contexts[0])) == {"wrong_task"}


async def test_contexts_made_and_not_entered_or_entered_twice_are_told(loop: str) -> None:
    class Again:
        async def __aenter__(self) -> Again:
            return self

        async def __aexit__(self, *exc: object) -> bool:
            return exc[0] is ValueError

    ledger = Ledger()
    ledger.context(Again(), "a")
    twice, fine = ledger.context(Again(), "b"), ledger.context(Again(), "c")
    async with twice, twice:
        pass
    async with fine:
        raise ValueError  # which it keeps to itself, as it did before it was watched
    assert [set(troubles(context)) for context in ledger.contexts] == [{"never_entered"}, {"entered_twice"}, set()]
    assert ledger.contexts[2].exits[0].error == "ValueError"


async def test_the_exception_on_the_way_is_on_record(loop: str) -> None:
    ledger = Ledger()

    async def items(http: httpx.AsyncClient) -> AsyncGenerator[bytes]:
        async with http.stream("POST", URL, json={"input": "Hello."}) as response:
            async for data in response.aiter_raw():
                yield data

    async with httpx.AsyncClient(transport=ledger.transport(Transport())) as http, aclosing(items(http)) as stream:
        await anext(stream)
    assert ledger.contexts[0].exits[0].error == "GeneratorExit"


async def test_every_client_is_watched_for_a_while_and_by_its_url(loop: str) -> None:
    original = httpx.AsyncHTTPTransport.handle_async_request
    here, elsewhere = Ledger(), Ledger()
    async with httpx.AsyncClient(trust_env=False) as http:
        both = watching(elsewhere, "http://127.0.0.1:2"), watching(here, "http://127.0.0.1:1")
        with both[0], both[1], pytest.raises(httpx.ConnectError):
            await http.post("http://127.0.0.1:1/v1")
        with pytest.raises(httpx.ConnectError):
            await http.post("http://127.0.0.1:1/v1")
    assert (len(here.contexts), len(elsewhere.contexts)) == (1, 0)
    assert httpx.AsyncHTTPTransport.handle_async_request is original


async def test_a_transport_on_a_watched_transport_is_one_context(loop: str) -> None:
    ledger = Ledger()
    async with httpx.AsyncClient(transport=ledger.transport(ledger.transport(Transport()))) as http:
        await http.post(URL)
    ledger.assert_closed_once()


class Connection:
    """What the ledger knows of aiohttp's, where aiohttp is not installed."""

    def __init__(self) -> None:
        self.protocol: object | None = object()
        self.told: list[str] = []

    def release(self) -> None:
        self.told.append("released")
        self.protocol = None

    def close(self) -> None:
        self.told.append("closed")
        self.protocol = None

    def __del__(self) -> None:
        self.told.append("collected")


class Connector:
    async def connect(self, request: httpx.Request, traces: list[object], timeout: float) -> Connection:
        assert (traces, timeout) == ([], 1.0)
        return Connection()


@pytest.mark.parametrize("how", ["release", "close", "collect"])
async def test_a_connection_is_the_same_object_and_its_one_end_is_on_record(loop: str, how: str) -> None:
    ledger, connector = Ledger(), Connector()
    assert ledger.connector(connector) is connector
    connection = await connector.connect(httpx.Request("POST", URL), [], timeout=1.0)
    assert isinstance(connection, Connection)
    told = connection.told
    if how != "collect":
        getattr(connection, how)()
        getattr(connection, how)()
    del connection
    gc.collect()
    ended = {"release": ["released"] * 2, "close": ["closed"] * 2, "collect": []}
    assert told == [*ended[how], "collected"]
    (context,) = ledger.contexts
    assert len(context.exits) == 1
    assert set(troubles(context)) == ({"collected"} if how == "collect" else set())


def test_asking_who_it_was_keeps_nobody_alive() -> None:
    """What a caller has is gone with its last reference, and not only when garbage is collected."""

    class Thing:
        pass

    def caller() -> weakref.ref[Thing]:
        thing = Thing()
        assert asker().endswith(f"test_ledger.py:{sys._getframe().f_lineno}")
        assert not is_collecting()
        return weakref.ref(thing)

    gc.disable()
    try:
        assert caller()() is None
    finally:
        gc.enable()


async def test_a_stream_that_is_dropped_under_watch_is_closed_at_once_and_in_order(loop: str) -> None:
    """It, and not first what it iterates, as a collection of garbage may have it."""
    upstream = Script(lockstep(2, 100), content_type="audio/mpeg")
    async with fake_upstream() as up:
        up.runs.arm("dropped", upstream)
        ledger = Ledger()
        with watching(ledger, up.url):
            async with httpx.AsyncClient(trust_env=False, timeout=None) as http:
                gc.collect()
                gc.disable()
                try:
                    await take_one(http, up.url)
                    with anyio.fail_after(60):
                        await up.journal.saw("dropped", "peer_fin", "peer_reset")
                finally:
                    gc.enable()
    (context,) = ledger.contexts
    assert context.exits[0].collected


async def take_one(http: httpx.AsyncClient, url: str) -> None:
    stream = nested(http, url)
    assert await anext(stream)


async def nested(http: httpx.AsyncClient, url: str) -> AsyncGenerator[bytes]:
    """`stream` is a generator too, within this one."""
    body = {"model": "tts-1", "voice": "alloy", "input": "dropped"}
    async with http.stream("POST", f"{url}/audio/speech", json=body) as response:
        async for data in response.aiter_raw():
            yield data

"""The reference proxy: deferred, closed once by whoever opened it, cancelled in every phase, without a limit."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest

from fake_upstream.door import listen, url_of
from fake_upstream.pacing import burst, lockstep
from fake_upstream.script import Ending, Script, Step
from fake_upstream.speech import json_script
from fake_upstream.upstream import FakeUpstream, fake_upstream
from harness.client import Client
from harness.proxies.reference import Head, Proxy, build, deferred_stream, end_to_end
from harness.record import LET_GO
from harness.servers import serve_hypercorn
from harness.sockets import Leave, SocketBackend, http_client

# httpx nests async generators and closes only the outermost; trio says so when the others are collected.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")
GUARD = 30.0
"""Seconds after which a test is taken for hung; nothing is decided by it."""


class Ledger(httpx.AsyncBaseTransport):
    """Writes down which task opened a response and which closed it."""

    def __init__(self) -> None:
        self.inner = httpx.AsyncHTTPTransport()
        self.entries: list[tuple[str, int]] = []

    def write(self, what: str) -> None:
        self.entries.append((what, anyio.get_current_task().id))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.write("opened")
        answer = await self.inner.handle_async_request(request)
        assert isinstance(answer.stream, httpx.AsyncByteStream)
        return httpx.Response(
            answer.status_code, headers=answer.headers, stream=_Watched(answer.stream, self), extensions={}
        )

    async def aclose(self) -> None:
        await self.inner.aclose()


class _Watched(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream, ledger: Ledger) -> None:
        self.inner = inner
        self.ledger = ledger

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for data in self.inner:
            yield data

    async def aclose(self) -> None:
        self.ledger.write("closed")
        await self.inner.aclose()


def speech(upstream: FakeUpstream, text: str) -> httpx.Request:
    body = {"model": "tts-1", "voice": "alloy", "input": text}
    return httpx.Request("POST", f"{upstream.url}/audio/speech", json=body)


@asynccontextmanager
async def proxied(app: Proxy) -> AsyncGenerator[str]:
    """The app on hypercorn, on the loop that is running."""
    sock = listen()
    ready = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve_hypercorn, app, sock, ready.set)
        await ready.wait()
        yield url_of(sock)
        tasks.cancel_scope.cancel()
    await app.http.aclose()


async def test_nothing_is_asked_before_the_first_pull(loop: str) -> None:
    ledger = Ledger()
    async with fake_upstream() as upstream, httpx.AsyncClient(transport=ledger) as http:
        stream = deferred_stream(http, speech(upstream, "nobody listens"))
        await stream.aclose()
        assert ledger.entries == []
        assert upstream.journal.since() == ()


@pytest.mark.parametrize("pulls", [1, 2, None])
async def test_the_context_is_closed_once_by_the_task_that_opened_it(loop: str, pulls: int | None) -> None:
    """After the head, in the middle, and at the end."""
    ledger = Ledger()
    with anyio.fail_after(GUARD):
        async with fake_upstream() as upstream, httpx.AsyncClient(transport=ledger) as http:
            upstream.runs.arm("hello", Script(lockstep(3, 10) if pulls else burst(3, 10)))
            pulled = 0
            async with aclosing(deferred_stream(http, speech(upstream, "hello"))) as stream:
                async for _ in stream:
                    pulled += 1
                    if pulled == pulls:
                        break
            me = anyio.get_current_task().id
            assert ledger.entries == [("opened", me), ("closed", me)]


async def test_iterating_after_the_close_yields_nothing_and_asks_nothing(loop: str) -> None:
    ledger = Ledger()
    async with fake_upstream() as upstream, httpx.AsyncClient(transport=ledger) as http:
        stream = deferred_stream(http, speech(upstream, "hello"))
        assert isinstance(await anext(stream), Head)
        await stream.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        assert [what for what, _ in ledger.entries] == ["opened", "closed"]


@pytest.mark.parametrize("status", [400, 401, 429, 500, 503])
async def test_upstream_errors_keep_status_headers_and_body(loop: str, status: int) -> None:
    async with fake_upstream() as upstream, proxied(build(upstream.url)) as url:
        body = {"error": {"message": "no"}}
        upstream.runs.arm("too much", json_script(status, body).but(headers=(("Retry-After", "7"),)))
        async with http_client(SocketBackend()) as http:
            answer = await http.send(speech_to(url, "too much"))
            assert (answer.status_code, answer.json(), answer.headers["retry-after"]) == (status, body, "7")


async def test_an_upstream_that_refuses_becomes_a_502(loop: str) -> None:
    sock = listen()  # bound, so that nobody else gets the port, and then closed to clients
    url = url_of(sock)
    sock.close()
    async with proxied(build(f"{url}/v1")) as proxy, http_client(SocketBackend()) as http:
        answer = await http.send(speech_to(proxy, "hello"))
        assert answer.status_code == 502
        assert answer.json()["error"]["type"] == "server_error"


def body_of(text: str) -> bytes:
    return json.dumps({"model": "m", "voice": "v", "input": text}).encode()


def speech_to(url: str, text: str) -> httpx.Request:
    return httpx.Request("POST", f"{url}/v1/audio/speech", json={"model": "m", "voice": "v", "input": text})


SILENT_BEFORE_HEAD = Script(burst(2, 10), head=Step(gate=True))
SILENT_AFTER_HEAD = Script(lockstep(2, 10)[1:])
SILENT_IN_THE_MIDDLE = Script(lockstep(3, 10))
SILENT_BEFORE_END = Script(burst(2, 10), ending=Ending(gate=True))


@pytest.mark.parametrize("how", ["fin", "reset"])
@pytest.mark.parametrize(
    ("script", "reached"),
    [
        (SILENT_BEFORE_HEAD, "asked"),
        (SILENT_AFTER_HEAD, "head_received"),
        (SILENT_IN_THE_MIDDLE, "received"),
        (SILENT_BEFORE_END, "received"),
    ],
)
async def test_the_upstream_is_let_go_in_every_phase(loop: str, script: Script, reached: str, how: Leave) -> None:
    with anyio.fail_after(GUARD):
        async with fake_upstream() as upstream, proxied(build(upstream.url)) as url, anyio.create_task_group() as tasks:
            upstream.runs.arm("goodbye", script)
            client = Client("goodbye")
            tasks.start_soon(client.run, f"{url}/v1/audio/speech", body_of("goodbye"), {})
            await upstream.journal.saw("goodbye", "asked")
            await client.notice.until(lambda: reached == "asked" or any(e.what == reached for e in client.events))
            client.leave(how)
            await upstream.journal.saw("goodbye", *LET_GO)
            await upstream.journal.saw("goodbye", "cut")


async def test_there_is_no_limit_at_100_streams(loop: str) -> None:
    """All of 130 streams are open before the first one ends."""
    with anyio.fail_after(GUARD):
        async with fake_upstream() as upstream, proxied(build(upstream.url)) as url:
            upstream.runs.arm("many", Script(lockstep(2, 10)))
            async with anyio.create_task_group() as tasks:
                clients = [Client("many") for _ in range(130)]
                for client in clients:
                    tasks.start_soon(client.run, f"{url}/v1/audio/speech", body_of("many"), {})
                for client in clients:
                    await client.notice.until(lambda client=client: len(client.body) == 10)  # type: ignore[misc]
                run = upstream.runs.get("many")
                assert run is not None
                assert run.attempts == 130
                run.release()
            assert [client.events[-1].what for client in clients] == ["ended"] * 130


async def test_path_query_and_end_to_end_headers_go_on_and_the_others_do_not(loop: str) -> None:
    async with fake_upstream() as upstream, proxied(build(upstream.url)) as url, http_client(SocketBackend()) as http:
        upstream.runs.arm("hello", Script(burst(1, 5)))
        request = httpx.Request(
            "POST",
            f"{url}/v1/audio/speech?a=%20b",
            json={"model": "m", "voice": "v", "input": "hello"},
            headers={"x-mine": "1", "connection": "x-hop", "x-hop": "2", "te": "trailers"},
        )
        await http.send(request)
        (asked,) = [event for event in upstream.journal.since() if event.what == "asked"]
        names = {name for name, _ in asked.headers}
        assert asked.note == "POST /v1/audio/speech"
        assert "x-mine" in names
        assert not names & {"x-hop", "te"}


def test_headers_of_one_connection_are_dropped() -> None:
    headers = [(b"Content-Type", b"audio/wav"), (b"Connection", b"close, X-One"), (b"x-one", b"1"), (b"TE", b"x")]
    assert end_to_end(headers) == [(b"Content-Type", b"audio/wav")]


@pytest.mark.asyncio
@pytest.mark.parametrize("pulls", [0, 1, 2])
async def test_native_cancellation_closes_the_context(pulls: int) -> None:
    """asyncio's own Task.cancel, while the head, the first chunk or the next one is awaited."""
    ledger = Ledger()
    scripts = [SILENT_BEFORE_HEAD, SILENT_AFTER_HEAD, SILENT_IN_THE_MIDDLE]
    async with asyncio.timeout(GUARD), fake_upstream() as upstream, httpx.AsyncClient(transport=ledger) as http:
        upstream.runs.arm("goodbye", scripts[pulls])
        pulled: asyncio.Queue[Any] = asyncio.Queue()

        async def consume() -> None:
            async with aclosing(deferred_stream(http, speech(upstream, "goodbye"))) as stream:
                async for item in stream:
                    pulled.put_nowait(item)

        task = asyncio.create_task(consume())
        await upstream.journal.saw("goodbye", "asked")
        for _ in range(pulls):
            await pulled.get()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await upstream.journal.saw("goodbye", *LET_GO)
        assert [what for what, _ in ledger.entries] == ["opened", "closed"][: 1 + bool(pulls)]

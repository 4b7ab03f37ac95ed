"""The worked adapters for the OpenAI SDK and aiohttp keep the contract; the shape that they replace does not.

In an environment of its own: `tox -e clients`.
"""

from __future__ import annotations

import gc
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

if find_spec("openai") is None or find_spec("aiohttp") is None:
    pytest.skip("needs openai and aiohttp: tox -e clients", allow_module_level=True)

import aiohttp
import httpx2
import openai
from anyio import to_thread

from fake_upstream.audio import prefix
from fake_upstream.pacing import burst, lockstep
from fake_upstream.script import Script
from fake_upstream.upstream import fake_upstream
from harness.contexts import troubles
from harness.contract import ContractError, Report, check_deferred_stream, inspect_deferred_stream
from harness.ledger import Ledger

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples" / "adapters"))

import aiohttp_speech
import openai_closed_at_return
import openai_speech

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


def client(url: str, **options: object) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=url, api_key="sk-test", max_retries=0, **options)  # type: ignore[arg-type]


async def inspect_openai(make: object, http: httpx2.AsyncClient) -> Report:
    return await inspect_deferred_stream(lambda url, text: make(client(url, http_client=http), text))  # type: ignore[operator]


async def test_the_openai_adapter_keeps_every_clause(loop: str) -> None:
    async with httpx2.AsyncClient(trust_env=False) as http:
        report = await inspect_openai(openai_speech.aspeech, http)
    assert (report.violated, report.exempt) == ((), {}), str(report)


async def test_its_context_is_the_one_that_the_adapter_entered(loop: str) -> None:
    async with httpx2.AsyncClient(trust_env=False) as http:
        report = await inspect_openai(openai_speech.aspeech, http)
    places = {context.enters[0].place for course in report.courses for context in course.contexts if context.enters}
    assert {place.rpartition(":")[0] for place in places} == {"examples/adapters/openai_speech.py"}


async def test_the_shape_that_it_replaced_is_told_what_it_does(loop: str) -> None:
    async with httpx2.AsyncClient(trust_env=False) as http:
        report = await inspect_openai(openai_closed_at_return.aspeech, http)
    assert report.violated == ("lazy", "stays_open")
    lazy, open_ = report.findings
    assert "the upstream was asked before anything was pulled" in lazy.actual
    assert "0 bytes of 196,608 in 0 pulls" in open_.actual


async def test_a_watched_transport_of_httpx2_sees_the_same(loop: str) -> None:
    ledger = Ledger()
    transport = ledger.transport(httpx2.AsyncHTTPTransport())
    assert isinstance(transport, httpx2.AsyncBaseTransport)
    async with fake_upstream() as upstream, httpx2.AsyncClient(transport=transport, trust_env=False) as http:
        upstream.runs.arm("hello", Script(burst(2, 100)))
        speech = openai_speech.aspeech(client(upstream.url, http_client=http), "hello")
        assert len(b"".join([data async for data in speech.aiter_bytes()])) == 200
    ledger.assert_closed_once()


async def test_the_sync_path_is_as_it_was(loop: str) -> None:
    """One request, the whole body, in the SDK's own type."""
    script = Script(burst(4, 1_000), content_type="audio/mpeg")
    async with fake_upstream() as upstream:
        upstream.runs.arm("hello", script)

        def speak() -> object:
            with openai.OpenAI(base_url=upstream.url, api_key="sk-test", max_retries=0) as sync:
                response = openai_speech.speech(sync, "hello")
                return type(response).__name__, response.content

        assert await to_thread.run_sync(speak) == ("HttpxBinaryResponseContent", prefix(script, 4_000))
        assert [event.what for event in upstream.journal.of("hello")].count("asked") == 1


@pytest.mark.asyncio
async def test_the_aiohttp_adapter_keeps_every_clause() -> None:
    async with aiohttp.ClientSession() as session:
        report = await check_deferred_stream(lambda url, text: aiohttp_speech.speak(session, url, text))
    assert set(report.exempt) == {"no_second_body"}
    assert any(course.contexts for course in report.courses)


@pytest.mark.asyncio
async def test_an_aiohttp_response_is_known_and_eager() -> None:
    """Whoever hands out the response itself has asked before anybody pulled."""
    body = {"model": "tts-1", "voice": "alloy"}
    async with aiohttp.ClientSession() as session:
        with pytest.raises(ContractError) as caught:
            await check_deferred_stream(
                lambda url, text: session.post(f"{url}/audio/speech", json={**body, "input": text})
            )
    assert "lazy" in caught.value.report.violated
    assert not set(caught.value.report.violated) & {"stays_open", "opens_once", "closed_at_end", "same_task"}


@pytest.mark.asyncio
@pytest.mark.parametrize(("how", "trouble"), [("closed", set()), ("read", set()), ("lost", {"never_exited"})])
async def test_a_watched_connector_tells_how_a_connection_ended(how: str, trouble: set[str]) -> None:
    """aiohttp's own socket keeps a response that is lost in the middle: nobody closes it, not even its collection."""
    ledger = Ledger()
    connector = aiohttp.TCPConnector()
    assert ledger.connector(connector) is connector
    async with fake_upstream() as upstream, aiohttp.ClientSession(connector=connector) as session:
        run = upstream.runs.arm("held", Script(lockstep(2, 100)))
        response = await session.post(
            f"{upstream.url}/audio/speech", json={"model": "m", "voice": "v", "input": "held"}
        )
        if how == "closed":
            response.close()
        if how == "read":
            run.release()
            assert len(await response.read()) == 200
        del response
        gc.collect()
        assert [set(troubles(context)) for context in ledger.contexts] == [trouble]

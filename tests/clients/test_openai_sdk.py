"""The official SDK cannot tell the fake from the service: every format and event streams, directly and proxied.

In an environment of its own: `tox -e clients`.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Any

import anyio
import pytest

from fake_upstream.decoded import decode
from fake_upstream.door import listen, url_of
from fake_upstream.sse import audio_of, usage_of
from fake_upstream.upstream import fake_upstream
from fake_upstream.utterance import FORMATS, Speech
from harness.proxies.reference import build
from harness.servers import serve_hypercorn

if find_spec("openai") is None or find_spec("av") is None:
    pytest.skip("needs openai and PyAV: tox -e clients", allow_module_level=True)

import openai

from fake_upstream.encoded import encode

pytestmark = pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")
TEXT = "Hello there, this is a test."
VIA = ("direct", "proxied")


@asynccontextmanager
async def service(via: str, **options: Any) -> AsyncGenerator[openai.AsyncOpenAI]:
    """An SDK client of the fake, or of the reference proxy in front of it."""
    async with fake_upstream(**options) as upstream, anyio.create_task_group() as tasks:
        app = build(upstream.url)
        sock, ready = listen(), anyio.Event()
        tasks.start_soon(serve_hypercorn, app, sock, ready.set)
        await ready.wait()
        url = upstream.url if via == "direct" else f"{url_of(sock)}/v1"
        async with openai.AsyncOpenAI(api_key="sk-test", base_url=url, max_retries=0) as client:
            yield client
        tasks.cancel_scope.cancel()
        await app.http.aclose()


@pytest.mark.parametrize("via", VIA)
@pytest.mark.parametrize("name", FORMATS)
async def test_every_format_streams_and_is_what_was_encoded(loop: str, via: str, name: str) -> None:
    speech = Speech(TEXT, response_format=name, speed=4.0)
    async with (
        service(via) as client,
        client.audio.speech.with_streaming_response.create(
            model="gpt-4o-mini-tts", voice="alloy", input=TEXT, response_format=name, speed=4.0
        ) as response,
    ):
        body = b"".join([chunk async for chunk in response.iter_bytes()])
    assert body == encode(speech).data
    assert decode(body, name).seconds == encode(speech).seconds


@pytest.mark.parametrize("via", VIA)
async def test_event_streams_carry_the_same_audio_and_its_usage(loop: str, via: str) -> None:
    async with (
        service(via) as client,
        client.audio.speech.with_streaming_response.create(
            model="gpt-4o-mini-tts", voice="alloy", input=TEXT, response_format="pcm", speed=4.0, stream_format="sse"
        ) as response,
    ):
        assert response.headers["content-type"].startswith("text/event-stream")
        body = b"".join([chunk async for chunk in response.iter_bytes()])
    assert audio_of(body) == encode(Speech(TEXT, response_format="pcm", speed=4.0)).data
    assert usage_of(body) is not None


@pytest.mark.parametrize("via", VIA)
async def test_refusals_are_the_errors_that_the_sdk_knows(loop: str, via: str) -> None:
    async with service(via) as client:
        with pytest.raises(openai.BadRequestError) as refused:
            await client.audio.speech.create(model="tts-1", voice="alloy", input=TEXT, speed=9.0)
        assert "speed" in refused.value.message
        assert refused.value.request_id


async def test_a_wrong_key_is_an_authentication_error(loop: str) -> None:
    async with service("direct", api_key="sk-right") as client:
        with pytest.raises(openai.AuthenticationError) as refused:
            await client.audio.speech.create(model="tts-1", voice="alloy", input=TEXT)
        assert refused.value.code == "invalid_api_key"


async def test_models_are_listed_and_found(loop: str) -> None:
    async with service("direct") as client:
        names = [model.id async for model in await client.models.list()]
        assert names
        assert (await client.models.retrieve(names[0])).id == names[0]
        assert json.loads((await client.models.retrieve(names[0])).to_json())["object"] == "model"

"""curl and ffprobe, as a stranger uses them: every format and an event stream, directly and through the reference."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

import anyio
import pytest
from anyio import to_thread

from fake_upstream.door import listen, url_of
from fake_upstream.sse import audio_of
from fake_upstream.upstream import fake_upstream
from fake_upstream.utterance import FORMATS
from harness.proxies.reference import build
from harness.servers import serve_hypercorn

TEXT = "Hello there, this is a test."
CODECS = {"mp3": "mp3", "opus": "opus", "aac": "aac", "flac": "flac", "wav": "pcm_s16le"}
FRAME = {"mp3": 0.024, "opus": 0.1, "aac": 1024 / 24_000, "flac": 0.024, "wav": 0.02}
DELAY = {"mp3": 0.072, "aac": 1024 / 24_000}
"""Encoder delay that a stream without an edit list plays as silence, in seconds."""


@asynccontextmanager
async def service(via: str) -> AsyncGenerator[str]:
    async with fake_upstream() as upstream, anyio.create_task_group() as tasks:
        app = build(upstream.url)
        sock, ready = listen(), anyio.Event()
        tasks.start_soon(serve_hypercorn, app, sock, ready.set)
        await ready.wait()
        yield upstream.url if via == "direct" else f"{url_of(sock)}/v1"
        tasks.cancel_scope.cancel()
        await app.http.aclose()


async def curl(url: str, file: Path, **fields: object) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed here")
    data = json.dumps({"model": "gpt-4o-mini-tts", "voice": "alloy", "input": TEXT, **fields})
    words = ["curl", "-sSN", "--fail", "--noproxy", "*", f"{url}/audio/speech"]
    words += ["-H", "content-type: application/json", "-d", data, "-o", str(file)]
    done = await to_thread.run_sync(lambda: subprocess.run(words, capture_output=True, text=True, check=False))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("via", ["direct", "proxied"])
@pytest.mark.parametrize("name", FORMATS)
async def test_every_format_and_ffprobe_agrees(loop: str, via: str, name: str, tmp_path: Path) -> None:
    if name not in ("wav", "pcm") and find_spec("av") is None:
        pytest.skip("PyAV is not installed here; it is in the extra `audio`")
    file = tmp_path / f"speech.{name}"
    async with service(via) as url:
        await curl(url, file, response_format=name, speed=2.0)
    seconds = len(TEXT) / 15 / 2.0
    if name == "pcm":
        assert file.stat().st_size == 2 * round(24_000 * seconds)
        return
    if shutil.which("ffprobe") is None:
        pytest.skip("ffprobe is not installed here; it is in Debian's ffmpeg")
    words = ["ffprobe", "-v", "error", "-count_packets", "-show_entries"]
    words += ["stream=codec_name,sample_rate,channels:packet=duration_time", "-of", "json", str(file)]
    told = json.loads(await to_thread.run_sync(lambda: subprocess.run(words, capture_output=True, check=True).stdout))
    (stream,) = told["streams"]
    played = sum(float(packet.get("duration_time", 0)) for packet in told["packets"])
    assert (stream["codec_name"], stream["channels"]) == (CODECS[name], 1)
    assert seconds - FRAME[name] <= played <= seconds + 2 * FRAME[name] + DELAY.get(name, 0)


@pytest.mark.parametrize("via", ["direct", "proxied"])
async def test_an_event_stream(loop: str, via: str, tmp_path: Path) -> None:
    file = tmp_path / "events"
    async with service(via) as url:
        await curl(url, file, response_format="pcm", stream_format="sse", speed=4.0)
    assert len(audio_of(file.read_bytes())) == 2 * round(24_000 * len(TEXT) / 15 / 4.0)

"""The service as a client meets it: the key, the models, the headers of every answer, real audio nobody scripted."""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from threading import Event, get_ident
from typing import Any

import anyio
import pytest
from rawclient import GUARD, RawClient, converse, off, request, saw, served

from fake_upstream import __main__ as by_hand
from fake_upstream import audio, encoded, service, spoken, sse
from fake_upstream.decoded import decode
from fake_upstream.models import CREATED
from fake_upstream.script import Chunk, Script
from fake_upstream.speech import Refusal, text_script
from fake_upstream.utterance import FORMATS, Speech

LAST = "connection: close"
ARMED = text_script(200, "played", "text/plain")


def _request(**fields: Any) -> bytes:
    body = json.dumps({"model": "m", "input": "Hi.", "voice": "alloy", **fields}).encode()
    return request(body=body, headers=(LAST,), version="1.0")


def _answer(data: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    return int(first.split()[1]), dict(line.lower().split(": ", 1) for line in lines), body


async def _ask(url: str, data: bytes) -> tuple[int, dict[str, str], bytes]:
    return _answer((await off(converse, url, data))[0])


# --- the headers of every answer


@pytest.mark.parametrize(
    "asked",
    [
        request(),
        request("armed"),
        request("[[unplayable]]"),
        request(body=b"{}"),
        request(method="GET", body=b""),
        request(path="/nowhere"),
        request(method="GET", path="/v1/models", body=b""),
        request(method="GET", path="/health", body=b""),
        request(method="HEAD", path="/health", body=b""),
    ],
    ids=["audio", "armed", "unplayable", "400", "405", "404", "models", "health", "HEAD"],
)
async def test_every_answer_has_the_headers_of_the_service(loop: str, asked: bytes) -> None:
    async with served(default=lambda text, plain: plain.but(seed=-1 if "[[" in text else 0)) as up:
        up.runs.arm("armed", ARMED)
        with RawClient(up.url) as client:
            client.send(asked)
            head = (await off(client.head)).decode().lower().split("\r\n")
        assert {f"{name}: {value}" for name, value in service.headers_of(1, 0)} <= set(head)


async def test_the_processing_time_is_what_the_script_takes_to_begin(loop: str) -> None:
    headers = dict(service.headers_of(10, 1.25))
    assert headers["openai-processing-ms"] == "1250"
    assert headers["x-request-id"] == "req_0000000a"
    async with served() as up:
        up.runs.arm("hello", ARMED.but(headers=(("X-RateLimit-Remaining-Requests", "0"),)))
        with RawClient(up.url) as client:
            client.send(request())
            assert (await off(client.answer))[1]["x-ratelimit-remaining-requests"] == "0"  # the script's own wins


# --- the key


def _keyed(*authorization: str, text: str = "hello", **options: Any) -> bytes:
    headers = (*(f"authorization: {value}" for value in authorization), LAST)
    return request(text, headers=headers, **options)


@pytest.mark.parametrize("given", ["Bearer k3y", "bearer k3y", "Bearer  k3y"])
async def test_who_has_the_key_is_answered(loop: str, given: str) -> None:
    async with served(api_key="k3y") as up:
        assert up.api_key == "k3y"
        up.runs.arm("hello", ARMED)
        status, _, body = await _ask(up.url, _keyed(given))
        assert (status, body) == (200, b"played")


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        ((), None, "You didn't provide an API key. You need to provide your API key in an Authorization header"),
        (("Basic a2V5",), None, "You didn't provide an API key."),
        (("Bearer",), None, "You didn't provide an API key."),
        (("Bearer k3",), "invalid_api_key", "Incorrect API key provided: k3."),
        (("Bearer wrong",), "invalid_api_key", "Incorrect API key provided: wr***."),
        (("Bearer sk-proj-abcdefghWXYZ",), "invalid_api_key", "Incorrect API key provided: sk-proj-********WXYZ. You"),
        (("Bearer caf\u00e9",), "invalid_api_key", "Incorrect API key provided: ca***."),
    ],
    ids=str,
)
async def test_who_has_not_gets_401(loop: str, given: tuple[str, ...], code: str | None, message: str) -> None:
    """Also for what is armed, for what is not there and for what is wrong: nothing is told to strangers."""
    async with served(api_key="k3y") as up:
        up.runs.arm("hello", ARMED)
        asked = [_keyed(*given), _keyed(*given, body=b"{}"), _keyed(*given, path="/nowhere")]
        for data in (*asked, _keyed(*given, path="/v1/models", method="GET", body=b"")):
            status, headers, body = await _ask(up.url, data)
            error = json.loads(body)["error"]
            assert (status, error["type"], error["param"]) == (401, "invalid_request_error", None)
            assert (error["code"], error["message"][: len(message)]) == (code, message)
            assert headers["www-authenticate"] == "bearer"
        run = up.runs.get("hello")
        assert run
        assert run.attempts == 0
        assert up.journal.of("hello") == ()


async def test_health_asks_for_no_key(loop: str) -> None:
    async with served(api_key="k3y") as up:
        status, _, body = await _ask(up.url, _keyed(path="/health", method="GET", body=b""))
        assert (status, json.loads(body)) == (200, {"status": "ok"})


@pytest.mark.parametrize("key", ["", "a b", "caf\u00e9", "a\n"])
def test_a_key_that_no_header_can_hold(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        by_hand.main(["--api-key", key])
    assert ended.value.code == 2
    assert "a key is ASCII text without spaces" in capsys.readouterr().err


# --- models, paths, methods


async def test_models(loop: str) -> None:
    async with served() as up:
        status, _, body = await _ask(up.url, request(path="/v1/models", method="GET", body=b"", headers=(LAST,)))
        listed = json.loads(body)
        assert (status, listed["object"]) == (200, "list")
        assert [model["id"] for model in listed["data"]] == list(CREATED)
        for name in ("tts-1", "any-name", "a/b"):
            asked = request(path=f"/v1/models/{name}", method="GET", body=b"", headers=(LAST,))
            status, _, body = await _ask(up.url, asked)
            model = json.loads(body)
            assert (status, model["id"], model["object"], set(model)) == (200, name, "model", set(listed["data"][0]))


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", "/v1/audio/speech", "POST"), ("POST", "/v1/models", "GET, HEAD"), ("DELETE", "/v1/models/x", "GET, HEAD")],
)
def test_405_says_what_is_allowed(method: str, path: str, allowed: str) -> None:
    with pytest.raises(Refusal) as caught:
        service.answer(method, path)
    assert (caught.value.status, caught.value.headers) == (405, (("allow", allowed),))
    assert f"Perhaps you meant to use {allowed.split(',')[0]}?" in caught.value.message


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/models/", "/v1/model", "/v1/audio/speech/", "/healthy", "*"])
def test_404(path: str) -> None:
    with pytest.raises(Refusal) as caught:
        service.answer("GET", path)
    assert (caught.value.status, caught.value.message) == (404, f"Invalid URL (GET {path})")


# --- audio that nobody scripted


@pytest.mark.parametrize("response_format", FORMATS)
async def test_an_unscripted_request_gets_real_audio(loop: str, response_format: str) -> None:
    """The bytes of the encoder, each chunk due when the audio before it has played."""
    async with served() as up:
        status, headers, body = await _ask(
            up.url, _request(response_format=response_format, speed=1.5, voice={"id": "v"})
        )
        speech = Speech("Hi.", "v", response_format, 1.5)
        assert (status, headers["content-type"]) == (200, spoken.CONTENT_TYPES[response_format])
        assert body == encoded.encode(speech).data
        assert decode(body, response_format).seconds == encoded.encode(speech).seconds
        script = spoken.speech_script(speech, paced=True)
        sent = [event for event in up.journal.since() if event.what in ("head_sent", "emitted")]
        planned = [event.planned or 0 for event in sent]
        assert [event.size for event in sent[1:]] == [chunk.size for chunk in script.chunks]
        assert [b - a for a, b in pairwise(planned)] == [round(chunk.after * 1e9) for chunk in script.chunks]


@pytest.mark.parametrize("response_format", ["wav", "mp3"])
async def test_an_unscripted_event_stream(loop: str, response_format: str) -> None:
    async with served() as up:
        asked = _request(response_format=response_format, stream_format="sse")
        status, headers, body = await _ask(up.url, asked)
        speech = Speech("Hi.", response_format=response_format)
        assert (status, headers["content-type"]) == (200, "text/event-stream")
        assert sse.audio_of(body) == encoded.encode(speech).data
        assert sse.usage_of(body) == spoken.usage_of(speech, encoded.encode(speech))


async def test_sse_is_refused_for_tts_1_but_played_where_it_is_armed(loop: str) -> None:
    async with served() as up:
        asked = _request(model="tts-1", stream_format="sse")
        status, _, body = await _ask(up.url, asked)
        assert (status, json.loads(body)["error"]["param"]) == (400, "stream_format")
        script = spoken.sse_script(b"some audio", events=3)
        up.runs.arm("Hi.", script)
        status, _, body = await _ask(up.url, asked)
        assert (status, body) == (200, audio.prefix(script, script.total))


async def test_lockstep_by_events(loop: str) -> None:
    """Chunk k is event k, whole: a client that holds it can say so, and only then comes the next."""
    script = spoken.sse_script(b"some audio", events=5, gated=True)
    async with served() as up:
        run = up.runs.arm("hello", script.but(framing="close-delimited"))
        decoder = sse.AudioDecoder()
        got = b""
        with RawClient(up.url) as client:
            client.send(request())
            await off(client.head)
            for number, chunk in enumerate(script.chunks, 1):
                got += decoder.feed(await off(client.read, chunk.size))
                assert decoder.events == number
                assert number == len(script.chunks) or client.has_nothing()
                run.release()
        assert (got, decoder.usage) == (b"some audio", sse.Usage(0, 0, 0))


async def test_an_armed_speech_is_the_same_for_a_judge(loop: str) -> None:
    script = spoken.speech_script(Speech("An armed speech.", response_format="opus"))
    async with served() as up:
        up.runs.arm("hello", script)
        _, headers, body = await _ask(up.url, request(headers=(LAST,), version="1.0"))
        assert body == audio.prefix(script, script.total)
        assert headers["content-type"] == "audio/opus"


@pytest.mark.parametrize("armed", [True, False])
async def test_speech_is_encoded_in_a_thread_before_the_head_is_due(
    loop: str, armed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one encoding goes on, the loop answers others; its own head is due when it is done."""
    here, begun, go, threads = get_ident(), Event(), Event(), list[int]()
    genuine = encoded.encode

    def slow(speech: Speech) -> encoded.Encoded:
        threads.append(get_ident())
        begun.set()
        assert go.wait(GUARD)
        return genuine(speech)

    script = spoken.speech_script(Speech("Hello.", response_format="pcm"), chunk_seconds=100)
    for module in (spoken, audio):
        monkeypatch.setattr(module, "encode", slow)
    async with served() as up:
        if armed:
            up.runs.arm("Hi.", script)
        with RawClient(up.url) as client:
            client.send(_request(response_format="pcm"))
            await off(begun.wait)
            status, _, _ = await _ask(up.url, request(path="/health", method="GET", body=b"", headers=(LAST,)))
            assert status == 200
            assert client.has_nothing()
            assert "head_sent" not in [event.what for event in up.journal.since() if event.connection == 1]
            released = up.journal.since()[-1].at
            go.set()
            await off(client.rest)
        head = await saw(up.journal, "head_sent", connection=1)
        assert head.planned
        assert head.planned > released
        assert here not in threads


async def test_an_encoding_keeps_nobody_from_leaving(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go = Event(), Event()

    def stuck(speech: Speech) -> encoded.Encoded:
        begun.set()
        assert go.wait(GUARD)
        raise LookupError("nobody waits for this any more")

    monkeypatch.setattr(spoken, "encode", stuck)
    try:
        async with served() as up:
            with RawClient(up.url) as client:
                client.send(_request(response_format="pcm"))
                await off(begun.wait)
    finally:
        go.set()


@pytest.mark.parametrize("response_format", FORMATS)
async def test_without_pyav(loop: str, response_format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """wav and pcm are made here; the others are refused with the remedy, but scripts of other bytes play."""
    monkeypatch.setitem(sys.modules, "av", None)
    async with served(default=by_hand.by_hand) as up:
        for fields in ({"stream_format": "audio"}, {"stream_format": "sse"}):
            text = f"Nobody said this on {loop} before, as {fields['stream_format']}"
            asked = {"response_format": response_format, "speed": 4, **fields}
            status, _, body = await _ask(up.url, _request(input=text[:9] + text[-9:], **asked))
            if response_format in ("wav", "pcm"):
                assert status == 200
                continue
            error = json.loads(body)["error"]
            assert (status, error["param"], error["code"]) == (400, "response_format", "unsupported_value")
            assert "pip install 'streamproof[audio]', or choose wav or pcm" in error["message"]
            status, _, body = await _ask(up.url, _request(input=f"{text} [[chunks=3x7 every=0]]", **asked))
            assert (status, len(body)) == (200, 21)


async def test_a_speech_that_is_too_short_for_its_chunks_is_refused(loop: str) -> None:
    script = Script((Chunk(size=10**6),), payload="speech", speech=Speech("Hi.", response_format="pcm"))
    async with served() as up:
        up.runs.arm("hello", script)
        status, _, body = await _ask(up.url, request(headers=(LAST,)))
        assert (status, json.loads(body)["error"]["code"]) == (400, "invalid_script")
        assert "cover no more of it" in json.loads(body)["error"]["message"]


async def test_a_range_of_a_speech(loop: str) -> None:
    script = spoken.speech_script(Speech("Hi.", response_format="wav")).but(ranges=True)
    async with served() as up:
        up.runs.arm("hello", script)
        status, _, body = await _ask(up.url, request(headers=(LAST, "range: bytes=8-11"), version="1.0"))
        assert (status, body) == (206, b"WAVE")


async def test_an_error_event_is_followed_by_the_ending(loop: str) -> None:
    script = spoken.sse_error(spoken.sse_script(b"some audio", events=5), 2)
    async with served() as up:
        up.runs.arm("hello", script)
        status, _, body = await _ask(up.url, request(headers=(LAST,), version="1.0"))
        decoder = sse.AudioDecoder()
        assert (status, decoder.feed(body)) == (200, b"some")
        assert decoder.error
        assert (await saw(up.journal, "finished")).note == "fin"


async def test_many_who_ask_for_the_same_at_once_get_the_same(loop: str) -> None:
    async with served() as up:
        answers: list[bytes] = []

        async def ask() -> None:
            answers.append((await _ask(up.url, _request(input=f"Many on {loop}.", speed=4)))[2])

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(ask)
        assert len(answers) == 20
        assert len(set(answers)) == 1

"""The control API: every route, every refusal, and who may call it."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest
from rawclient import GUARD, RawClient, converse, off, request, served, whats

from fake_upstream import control
from fake_upstream.events import Event
from fake_upstream.journal import Journal
from fake_upstream.pacing import burst, lockstep
from fake_upstream.runs import Runs
from fake_upstream.script import Chunk, Script
from fake_upstream.script_json import script_to_json
from fake_upstream.upstream import FakeUpstream, fake_upstream

LOCKSTEP = Script(lockstep(3, 4))


@asynccontextmanager
async def controlled(**options: Any) -> AsyncGenerator[tuple[FakeUpstream, httpx.AsyncClient]]:
    async with (
        served(**options) as up,
        httpx.AsyncClient(base_url=up.control_url, trust_env=False, timeout=GUARD) as http,
    ):
        yield up, http


def _ok(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    answer: dict[str, Any] = response.json()
    assert answer.pop("schema") == 1
    return answer


async def test_who_is_there(loop: str) -> None:
    async with controlled() as (up, http):
        answer = _ok(await http.get("/"))
        assert (answer["generation"], answer["speech_url"]) == (0, up.url)
        assert up.url.endswith("/v1")
        assert up.control_url.rpartition(":")[2] not in up.url


async def test_a_conversation_commanded_over_http(loop: str) -> None:
    """Arm, ask, wait, release, wait, drop: what a harness in another process does."""
    async with controlled() as (up, http):
        armed = await http.put("/script", json={"input": "hello", "script": script_to_json(LOCKSTEP)})
        assert _ok(armed) == {"generation": 0, "gates": 2}
        with RawClient(up.url) as client:
            client.send(request())
            seen = _ok(await http.get("/journal", params={"input": "hello", "wait": "emitted"}))
            assert [event["what"] for event in seen["events"]] == ["asked", "head_sent", "emitted"]
            await off(client.head)
            assert len(await off(client.read, 9)) == 9
            assert client.has_nothing()
            assert _ok(await http.post("/release", json={"input": "hello"})) == {"released": 1}
            assert len(await off(client.read, 9)) == 9
            assert client.has_nothing()
            assert _ok(await http.post("/drop", json={"input": "hello"})) == {}
            assert await off(client.rest) == (b"", "reset")
        seen = _ok(await http.get("/journal", params={"input": "hello", "wait": "cut"}))
        assert [e["note"] for e in seen["events"] if e["what"] == "cut"] == ["dropped"]
        assert up.runs.get("hello") is None


async def test_release_of_several_and_of_all(loop: str) -> None:
    async with controlled() as (up, http):
        run = up.runs.arm("hello", Script(lockstep(9, 1), framing="close-delimited"))
        assert _ok(await http.post("/release", json={"input": "hello", "gates": 3})) == {"released": 3}
        assert _ok(await http.post("/release", json={"input": "hello", "gates": None})) == {"released": 8}
        assert run.released == 8
        data, how = await off(converse, up.url, request())
        assert (len(data.partition(b"\r\n\r\n")[2]), how) == (9, "fin")


async def test_the_journal_by_key_and_from_a_number_on(loop: str) -> None:
    async with controlled() as (up, http):
        for at, key in enumerate(["a", "b \u20ac&=", "a"]):
            up.journal.note(Event(at, "asked", key=key))

        async def numbers(**params: Any) -> list[int]:
            return [event["at"] for event in _ok(await http.get("/journal", params=params))["events"]]

        assert await numbers() == [0, 1, 2]
        assert await numbers(since=2) == [2]
        assert await numbers(since=9) == []
        assert await numbers(input="a") == [0, 2]
        assert await numbers(input="a", since=1) == [2]
        assert await numbers(input="b \u20ac&=") == [1]
        assert await numbers(input="c") == []
        events = _ok(await http.get("/journal"))["events"]
        assert tuple(Event.from_json(event) for event in events) == up.journal.since()


async def test_the_control_port_keeps_out_of_the_journal(loop: str) -> None:
    """Its own connections are nobody's evidence."""
    async with controlled() as (up, http):
        for _ in range(3):
            _ok(await http.get("/journal"))
        assert up.journal.since() == ()


async def test_wait_answers_once_it_has_happened(loop: str) -> None:
    async with controlled() as (up, http):
        answers: list[dict[str, Any]] = []

        async def wait() -> None:
            answers.append(_ok(await http.get("/journal", params={"input": "a", "wait": "cut,finished"})))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            while not up.journal._notice._waiting:
                await anyio.sleep(0)
            up.journal.note(Event(1, "asked", key="a"))
            up.journal.note(Event(2, "cut", key="b"))
            _ok(await http.get("/"))
            assert answers == []
            up.journal.note(Event(3, "finished", key="a"))
        assert [event["at"] for event in answers[0]["events"]] == [1, 3]


async def test_wait_gives_up_with_what_there_is(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "LONGEST_WAIT", 0.0)
    async with controlled() as (up, http):
        up.journal.note(Event(1, "asked", key="a"))
        answer = _ok(await http.get("/journal", params={"input": "a", "wait": "cut"}))
        assert [event["what"] for event in answer["events"]] == ["asked"]


async def test_shutdown_does_not_wait_for_a_wait(loop: str) -> None:
    async with served() as up:
        client = RawClient(up.control_url)
        client.send(b"GET /journal?input=a&wait=cut HTTP/1.1\r\nhost: x\r\n\r\n")
        while not up.journal._notice._waiting:
            await anyio.sleep(0)
    with client:
        assert await off(client.rest) == (b"", "reset")


async def test_reset(loop: str) -> None:
    """No scripts, an empty journal, nobody who still plays; what comes late is counted."""
    async with controlled() as (up, http):
        up.runs.arm("hello", LOCKSTEP)
        with RawClient(up.url) as client:
            client.send(request())
            await up.journal.saw("hello", "emitted")
            assert _ok(await http.post("/reset")) == {"generation": 1}
            assert (await off(client.rest))[1] == "reset"
            await up.journal.until(lambda: up.journal.late == 2)  # closed, cut
        assert _ok(await http.get("/journal")) == {"generation": 1, "next": 0, "late": 2, "events": []}
        assert up.runs.get("hello") is None
        assert _ok(await http.post("/reset")) == {"generation": 2}
        up.runs.arm("hello", Script(burst(1, 4), framing="content-length"))
        with RawClient(up.url) as client:
            client.send(request())
            assert (await off(client.answer))[0] == 200
        await up.journal.saw("hello", "finished")
        assert whats(up.journal.of("hello")) == ["asked", "head_sent", "emitted", "finished"]


ARMED = {"input": "hello"}
REFUSED: list[tuple[str, str, Any, int, str]] = [
    ("GET", "/nothing", None, 404, "no GET /nothing here"),
    ("GET", "/script", None, 404, "no GET /script here"),
    ("DELETE", "/", None, 404, "no DELETE / here"),
    ("PUT", "/script", b"", 400, "not JSON"),
    ("PUT", "/script", b"{", 400, "not JSON"),
    ("PUT", "/script", b"\xff", 400, "not JSON"),
    ("PUT", "/script", b"[" * 100_000, 400, "not JSON"),
    ("PUT", "/script", [], 400, "must be a JSON object"),
    ("PUT", "/script", {"script": {}}, 400, "'input' must be"),
    ("PUT", "/script", {"input": "", "script": {}}, 400, "'input' must be"),
    ("PUT", "/script", {"input": 5, "script": {}}, 400, "'input' must be"),
    ("PUT", "/script", ARMED, 400, "'script' is None: give an object"),
    ("PUT", "/script", {**ARMED, "script": {"status": 5}}, 400, "'status' is 5: give a whole number of 200 or more"),
    ("PUT", "/script", {**ARMED, "script": {"text": "\ud800"}}, 400, "without lone surrogates"),
    ("POST", "/release", {"input": "other"}, 404, "no script is armed for this 'input'"),
    ("POST", "/release", {}, 400, "'input' must be"),
    ("POST", "/release", {**ARMED, "gates": 0}, 400, "'gates' is 0: give how many"),
    ("POST", "/release", {**ARMED, "gates": "all"}, 400, "'gates' is 'all'"),
    ("POST", "/release", {**ARMED, "gates": True}, 400, "'gates' is True"),
    ("POST", "/release", {**ARMED, "gates": 1.5}, 400, "'gates' is 1.5"),
    ("POST", "/drop", {"input": "other"}, 404, "no script is armed"),
    ("POST", "/drop", b"no", 400, "not JSON"),
    ("GET", "/journal?since=x", None, 400, "'since' is the number"),
    ("GET", "/journal?since=-1", None, 400, "'since' is the number"),
    ("GET", "/journal?wait=cut", None, 400, "'wait' takes an 'input'"),
    ("GET", "/journal?input=a&wait=bang", None, 400, "events of accepted, asked"),
    ("GET", "/journal?input=a&wait=cut,", None, 400, "events of accepted, asked"),
]


async def test_refusals(loop: str) -> None:
    """Each says what is wrong, in JSON, costs no connection and changes nothing."""
    async with controlled() as (up, http):
        run = up.runs.arm("hello", LOCKSTEP)
        for method, path, body, status, words in REFUSED:
            content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
            response = await http.request(method, path, content=content)
            answer = response.json()
            assert (response.status_code, answer["schema"]) == (status, 1), (method, path, body)
            assert words in answer["error"], (method, path, body)
        assert up.runs.get("hello") is run
        assert (run.released, run.dropped, up.journal.since()) == (0, False, ())


async def test_a_refused_script_names_the_field_apart(loop: str) -> None:
    async with controlled() as (_, http):
        script = {"chunks": [{"size": 1}, {"size": 0}]}
        answer = (await http.put("/script", json={"input": "a", "script": script})).json()
        assert answer["field"] == "chunks[1].size"


async def test_the_token(loop: str) -> None:
    """Without it nothing is told and nothing done."""
    async with controlled(control_token="s3cret") as (up, http):
        for header in (None, "", "s3cret", "Bearer", "Bearer s3cre", "Bearer s3cret2", "Bearer S3CRET", "Basic s3cret"):
            headers = {} if header is None else {"authorization": header}
            for method, path in (("GET", "/"), ("GET", "/journal"), ("POST", "/reset"), ("GET", "/nothing")):
                response = await http.request(method, path, headers=headers)
                assert response.status_code == 401, header
                assert response.json() == {
                    "schema": 1,
                    "error": "send the control token: Authorization: Bearer TOKEN",
                }
        assert up.journal.generation == 0
        headers = {"authorization": "Bearer s3cret"}
        assert _ok(await http.post("/reset", headers=headers)) == {"generation": 1}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "upstream.example", ""])
@pytest.mark.parametrize("token", [None, ""])
async def test_the_control_api_is_not_for_strangers(loop: str, host: str, token: str | None) -> None:
    """Bound to more than loopback it asks for a token, before it opens any port."""
    with pytest.raises(ValueError, match="give a control_token too"):
        async with fake_upstream(control_host=host, control_token=token):
            pass


async def test_with_a_token_it_may_listen_everywhere(loop: str) -> None:
    async with served(control_host="0.0.0.0", control_token="s3cret") as up:
        port = up.control_url.rpartition(":")[2]
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.get(f"http://127.0.0.1:{port}/")).status_code == 401


async def test_the_control_port_is_not_on_the_speech_port(loop: str) -> None:
    """A path-transparent proxy must not expose it."""
    async with controlled() as (up, http):
        speech = up.url.removesuffix("/v1")
        for method, path in (("GET", "/"), ("GET", "/journal"), ("POST", "/reset")):
            assert (await http.request(method, speech + path)).status_code == 404
        assert up.journal.generation == 0


async def test_a_websocket_is_not_served(loop: str) -> None:
    async with served() as up:
        upgrade = (
            b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
            b"sec-websocket-version: 13\r\nsec-websocket-key: bKdPyn3u98cTfZJSh4TNeQ==\r\n\r\n"
        )
        data, _ = await off(converse, up.control_url, upgrade)
        assert data.startswith(b"HTTP/1.1 500")


async def test_a_client_that_leaves_in_the_middle_of_its_command(loop: str) -> None:
    async with controlled() as (up, http):
        with RawClient(up.control_url) as client:
            client.send(b'PUT /script HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{"input": "a", "scr')
        assert _ok(await http.get("/"))["generation"] == 0
        assert up.runs.get("a") is None


async def test_a_port_in_use_is_an_oserror_and_leaves_none_open(loop: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for options in ({"port": port}, {"control_port": port}):
            with pytest.raises(OSError, match="in use"):
                async with fake_upstream(**options):
                    pass


async def test_a_port_can_be_taken_again_at_once(loop: str) -> None:
    """Connections that were open at shutdown do not hold it."""
    port = 0
    for _ in range(3):
        async with served(port=port) as up:
            port = int(up.url.removesuffix("/v1").rpartition(":")[2])
            up.runs.arm("hello", Script((Chunk(size=1),), framing="content-length"))
            with RawClient(up.url) as client:
                client.send(request())
                assert (await off(client.answer))[0] == 200


@pytest.mark.skipif(not socket.has_ipv6, reason="this Python has no IPv6")
async def test_ipv6(loop: str) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"no IPv6 loopback here: {error}")
    async with controlled(host="::1", control_host="::1") as (up, http):
        assert up.url.startswith("http://[::1]:")
        up.runs.arm("hello", Script((Chunk(size=1),), framing="content-length"))
        with RawClient(up.url) as client:
            client.send(request())
            assert (await off(client.answer))[0] == 200
        assert _ok(await http.get("/"))["speech_url"] == up.url


def test_runs_work_without_a_server() -> None:
    """The control app is a front: arming and releasing need no loop."""
    runs = Runs(Journal())
    runs.arm("a", LOCKSTEP).release()
    assert runs.claim("a") is runs.get("a")

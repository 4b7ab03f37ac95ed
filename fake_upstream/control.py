"""The control API: arm scripts, open gates, read the journal, reset. HTTP and JSON, on a port of its own.

A path-transparent proxy would expose it if it shared the speech port. It answers on loopback only, unless it is
given a token. Every answer carries `schema`, the version of this interface.

    PUT    /script   {"input": "...", "script": {...}}   arm a script for the requests with this input
    POST   /release  {"input": "...", "gates": 1}        open the next gates; null opens all
    POST   /drop     {"input": "..."}                    forget a run, reset what still plays it
    POST   /forget   {"input": "..."}                    tear its page out of the journal
    GET    /journal  ?input=...&since=0&wait=what,what   events; `wait` answers once one of these has happened
    POST   /narrow   {"input": "...", "size": 65536}     keep few unsent bytes of its response in the kernel
    POST   /close_idle                                   send FIN on every connection that waits for a request
    POST   /refuse                                       refuse connections, reset those there are
    POST   /accept                                       accept connections again
    POST   /reset                                        new generation: no scripts, empty journal
    GET    /schema                                       the JSON Schema of a script
    GET    /                                             generation, speech URL, open speech connections, event
                                                         loop, and its clock now (ns)
"""

from __future__ import annotations

import json
from hmac import compare_digest
from time import monotonic_ns
from typing import Any, Protocol
from urllib.parse import parse_qs

import anyio
import sniffio

from fake_upstream.app import read_body
from fake_upstream.door import Door
from fake_upstream.events import UPSTREAM_EVENTS
from fake_upstream.journal import Journal
from fake_upstream.runs import Run, Runs
from fake_upstream.script import ScriptError
from fake_upstream.script_json import script_from_json
from fake_upstream.script_schema import script_schema
from fake_upstream.serving import Receive, Send

SCHEMA = 1
LONGEST_WAIT = 60.0
"""Seconds until a `wait` answers with what there is; the caller asks again."""


class BadRequest(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Controlled(Protocol):
    """What is under control: a fake upstream."""

    url: str
    door: Door
    journal: Journal
    runs: Runs

    def narrow(self, key: str, size: int) -> None: ...

    def close_idle(self) -> None: ...


class ControlApp:
    """The ASGI app of the control API."""

    def __init__(self, upstream: Controlled, token: str | None = None) -> None:
        self.upstream = upstream
        self.door = upstream.door
        self.journal = upstream.journal
        self.runs = upstream.runs
        self.token = token

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"no service for {scope['type']}")
        body = await read_body(receive)
        if body is None:
            return
        try:
            status, answer = 200, await self._answer(scope, body)
        except BadRequest as refusal:
            status, answer = refusal.status, {"error": str(refusal)}
        except ScriptError as error:
            status, answer = 400, {"error": str(error), "field": error.field_name}
        data = json.dumps({"schema": SCHEMA, **answer}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(data))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": data})

    async def _answer(self, scope: dict[str, Any], body: bytes) -> dict[str, Any]:
        self._check_token(dict(scope["headers"]).get(b"authorization", b"").decode("latin-1"))
        match scope["method"], scope["path"]:
            case "GET", "/":
                return {
                    "generation": self.journal.generation,
                    "speech_url": self.upstream.url,
                    "connections": len(self.door.wires),
                    "loop": sniffio.current_async_library(),
                    "now": monotonic_ns(),
                }
            case "GET", "/schema":
                return script_schema()
            case "PUT", "/script":
                data = _object(body)
                run = self.runs.arm(_input(data), script_from_json(data.get("script")))
                return {"generation": self.journal.generation, "gates": run.script.gates}
            case "POST", "/release":
                data = _object(body)
                run = self._run(data)
                run.release(_gates(data))
                return {"released": run.released}
            case "POST", "/drop":
                self.runs.disarm(self._run(_object(body)).key)
                return {}
            case "POST", "/narrow":
                data = _object(body)
                self.upstream.narrow(_input(data), _size(data))
                return {}
            case "POST", "/close_idle":
                self.upstream.close_idle()
                return {}
            case "POST", "/forget":
                self.journal.forget(_input(_object(body)))
                return {}
            case "GET", "/journal":
                return await self._journal(parse_qs(scope["query_string"].decode()))
            case "POST", "/refuse":
                if self.door.open:
                    self.door.shut()
                return {}
            case "POST", "/accept":
                if not self.door.open:
                    self.door.reopen()
                return {}
            case "POST", "/reset":
                self.runs.reset()
                return {"generation": self.journal.reset()}
            case method, path:
                raise BadRequest(404, f"no {method} {path} here; see fake_upstream/control.py for what there is")

    async def _journal(self, query: dict[str, list[str]]) -> dict[str, Any]:
        key = query.get("input", [""])[0]
        try:
            since = int(query.get("since", ["0"])[0])
        except ValueError:
            since = -1
        if since < 0:
            raise BadRequest(400, "'since' is the number of the first event you want, from 0")
        if "wait" in query:
            kinds = query["wait"][0].split(",")
            unknown = [kind for kind in kinds if kind not in UPSTREAM_EVENTS]
            if unknown or not key:
                raise BadRequest(400, f"'wait' takes an 'input' and events of {', '.join(UPSTREAM_EVENTS)}")
            with anyio.move_on_after(LONGEST_WAIT):
                await self.journal.saw(key, *kinds)
        events, following = self.journal.read_on(since)
        if key:
            events = self.journal.of(key)[since:]
        return {
            "generation": self.journal.generation,
            "next": following,
            "late": self.journal.late,
            "events": [event.to_json() for event in events],
        }

    def _run(self, data: dict[str, Any]) -> Run:
        run = self.runs.get(_input(data))
        if run is None:
            raise BadRequest(404, "no script is armed for this 'input'")
        return run

    def _check_token(self, given: str) -> None:
        if self.token is not None and not compare_digest(given.encode(), f"Bearer {self.token}".encode()):
            raise BadRequest(401, "send the control token: Authorization: Bearer TOKEN")


def _object(body: bytes) -> dict[str, Any]:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest(400, f"the body is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise BadRequest(400, "the body must be a JSON object")
    return data


def _input(data: dict[str, Any]) -> str:
    text = data.get("input")
    if not isinstance(text, str) or not text:
        raise BadRequest(400, "'input' must be the request text that the script is for")
    return text


def _size(data: dict[str, Any]) -> int:
    size = data.get("size")
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise BadRequest(400, f"'size' is {size!r}: give how many bytes, 1 or more")
    return size


def _gates(data: dict[str, Any]) -> int | None:
    gates = data.get("gates", 1)
    if gates is not None and (isinstance(gates, bool) or not isinstance(gates, int) or gates < 1):
        raise BadRequest(400, f"'gates' is {gates!r}: give how many to open, 1 or more, or null for all")
    return gates

"""The service as an ASGI app: finds the script for a request and has it played on the connection's wire."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import anyio

from fake_upstream import service
from fake_upstream.audio import Body, body_of
from fake_upstream.expect import give_leave, wants_leave
from fake_upstream.frames import frames_of
from fake_upstream.journal import Journal
from fake_upstream.player import play
from fake_upstream.pyav import CodecMissing
from fake_upstream.ranges import answer_range
from fake_upstream.runs import Run, Runs
from fake_upstream.script import Script, ScriptError
from fake_upstream.serving import Receive, Send
from fake_upstream.speech import Refusal, input_of, read_request
from fake_upstream.spoken import plain_script
from fake_upstream.wire import Wire

ENCODERS = 8
"""Threads that encode at once."""
A = TypeVar("A")
B = TypeVar("B")


class SpeechApp:
    """Speech, models, health; everything else is refused in the service's own words.

    With an `api_key` only those who have it are answered, armed or not.
    """

    def __init__(self, journal: Journal, runs: Runs, api_key: str | None = None) -> None:
        self.journal = journal
        self.runs = runs
        self.api_key = api_key
        self._encoders = anyio.CapacityLimiter(ENCODERS)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"no service for {scope['type']}")
        wire: Wire = scope["state"]["wire"]
        method, path = scope["method"], scope["path"]
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
        at_once = None
        stranger = self._stranger(path, dict(headers))
        if wants_leave(headers, scope["http_version"]):
            decided = self.runs.expecting()
            if decided is None:
                await give_leave(wire)
            elif decided.script.expect == "final" and path == service.SPEECH_PATH and not stranger:
                at_once = self.runs.claim(decided.key)
        body = b"" if at_once else await read_body(receive)
        if body is None:
            return
        armed = at_once
        if not armed and not stranger and path == service.SPEECH_PATH:
            armed = self.runs.claim(input_of(body))
        wire.notes.begin(armed.key if armed else "")
        wire.notes.note("asked", note=f"{method} {path}", headers=headers, body=body.decode("utf-8", "replace"))
        wire.note_departure()
        run = armed or Run("", await self._answer(method, path, body, stranger), self.journal)
        script, content = answer_range(*await self._content(run.script), method, headers)
        frames = frames_of(
            script,
            content,
            service.headers_of(wire.notes.request, script.head.after),
            http_version=scope["http_version"],
            head_only=method == "HEAD",
            last=at_once is not None,
        )
        wire.owned = True
        if await play(wire, frames, run):
            await _tell_hypercorn(send)
            wire.owned = False
            wire.notes.note("recycled")
            wire.notes.key = ""

    def _stranger(self, path: str, headers: dict[str, str]) -> Refusal | None:
        """How a request without the key is refused."""
        try:
            service.check_key(path, headers.get("authorization", ""), self.api_key)
        except Refusal as refusal:
            return refusal
        return None

    async def _answer(self, method: str, path: str, body: bytes, stranger: Refusal | None) -> Script:
        """What the service would answer to a request that nobody armed."""
        if stranger:
            return stranger.script()
        try:
            if found := service.answer(method, path):
                return found
            request = read_request(body)
            return self.runs.default(request.input, await self._in_thread(plain_script, request))
        except Refusal as refusal:
            return refusal.script()
        except ScriptError as error:
            return _unplayable(error).script()

    async def _content(self, script: Script) -> tuple[Script, Body]:
        """A script and its bytes; speech is encoded now, before its head is due. What cannot be is refused."""
        if script.payload != "speech":
            return script, body_of(script)
        try:
            return script, await self._in_thread(body_of, script)
        except ScriptError as error:
            refused = _unplayable(error).script()
        except CodecMissing as error:
            refused = Refusal(400, str(error), "response_format", "unsupported_value").script()
        return refused, body_of(refused)

    async def _in_thread(self, call: Callable[[A], B], given: A) -> B:
        """Run what may encode. A connection that goes does not wait for it; the next to ask has it ready."""
        return await anyio.to_thread.run_sync(call, given, abandon_on_cancel=True, limiter=self._encoders)


def _unplayable(error: ScriptError) -> Refusal:
    return Refusal(400, str(error), "input", "invalid_script")


async def read_body(receive: Receive) -> bytes | None:
    """The whole request body; None if the client left before its end."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _tell_hypercorn(send: Send) -> None:
    """Walk hypercorn through the response that the wire has sent, so that it takes the next request.

    Always as a refusal: to h11, success would turn a CONNECT into a tunnel.
    """
    await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b"", "more_body": False})

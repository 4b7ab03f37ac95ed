"""The service as an ASGI app: finds the script for a request and has it played on the connection's wire."""

from __future__ import annotations

from typing import Any

from fake_upstream.audio import body_of
from fake_upstream.expect import give_leave, wants_leave
from fake_upstream.frames import frames_of
from fake_upstream.journal import Journal
from fake_upstream.player import play
from fake_upstream.ranges import answer_range
from fake_upstream.runs import Run, Runs
from fake_upstream.script import ScriptError
from fake_upstream.serving import Receive, Send
from fake_upstream.speech import Refusal, input_of, plain_script, read_request
from fake_upstream.wire import Wire

SPEECH_PATH = "/v1/audio/speech"


class SpeechApp:
    """`POST /v1/audio/speech`; everything else is refused in the service's own words."""

    def __init__(self, journal: Journal, runs: Runs) -> None:
        self.journal = journal
        self.runs = runs

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"no service for {scope['type']}")
        wire: Wire = scope["state"]["wire"]
        method, path = scope["method"], scope["path"]
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
        at_once = None
        if wants_leave(headers, scope["http_version"]):
            decided = self.runs.expecting()
            if decided is None:
                await give_leave(wire)
            elif decided.script.expect == "final" and path == SPEECH_PATH:
                at_once = self.runs.claim(decided.key)
        body = b"" if at_once else await read_body(receive)
        if body is None:
            return
        run = at_once or self._run(method, path, body)
        wire.notes.begin(run.key)
        wire.notes.note("asked", note=f"{method} {path}", headers=headers, body=body.decode("utf-8", "replace"))
        script, content = answer_range(run.script, body_of(run.script), method, headers)
        frames = frames_of(
            script,
            content,
            (("x-request-id", f"req_{wire.notes.request:08x}"),),
            http_version=scope["http_version"],
            head_only=method == "HEAD",
            last=at_once is not None,
        )
        wire.owned = True
        if await play(wire, frames, run):
            await _tell_hypercorn(send)
            wire.owned = False
            wire.notes.key = ""

    def _run(self, method: str, path: str, body: bytes) -> Run:
        """What this request gets: its armed script, whatever else it says, or what the service would answer."""
        if path == SPEECH_PATH and (run := self.runs.claim(input_of(body))):
            return run
        try:
            if path != SPEECH_PATH:
                raise Refusal(404, f"Invalid URL ({method} {path})")
            if method != "POST":
                raise Refusal(405, f"Not allowed to {method} on {path}. (HINT: Perhaps you meant to use POST?)")
            request = read_request(body)
            script = self.runs.default(request.input, plain_script(request))
        except Refusal as refusal:
            script = refusal.script()
        except ScriptError as error:
            script = Refusal(400, str(error), "input", "invalid_script").script()
        return Run("", script, self.journal)


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

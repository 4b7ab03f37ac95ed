"""Script → frames: the exact bytes of an HTTP/1.1 response (RFC 9112), each with its due time or gate. Pure.

The wire knows nothing of HTTP; a script knows nothing of bytes. This is the step between.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Literal

from fake_upstream.audio import Body
from fake_upstream.script import Framing, Script, Step

Close = Literal["keep", "fin", "reset", "half_close", "hang"]


@dataclass(frozen=True, slots=True)
class Frame:
    """One write. `step` says when; `size` is how many body bytes `data` carries; `chunk` is its index.

    An `interim` frame without data only waits. The last frame of a response is its `end`; `close` says what becomes
    of the connection after it.
    """

    what: Literal["interim", "head", "chunk", "end"]
    step: Step
    data: bytes
    chunk: int | None = None
    size: int = 0
    close: Close = "keep"


def framing_for(script: Script, http_version: str) -> Framing:
    """The framing in use: a client of HTTP/1.0 cannot read the chunked coding (RFC 9112, section 7.1)."""
    if http_version == "1.0" and script.framing == "chunked":
        return "close-delimited"
    return script.framing


def frames_of(
    script: Script,
    body: Body,
    extra_headers: tuple[tuple[str, str], ...] = (),
    *,
    http_version: str = "1.1",
    head_only: bool = False,
    last: bool = False,
) -> Iterator[Frame]:
    """All frames of one response, lazily; the last one is the `end`.

    `head_only` answers a HEAD request. A `last` response says so and closes the connection, whatever its framing.
    """
    framing = framing_for(script, http_version)
    for early in script.early:
        # A client of HTTP/1.0 must not get any (RFC 9110, section 15.2).
        yield Frame("interim", early, b"" if http_version == "1.0" else interim(early.status, early.headers))
    if not script.silent:
        closing = (("connection", "close"),) if last and framing in ("chunked", "content-length") else ()
        yield Frame("head", script.head, head(script, framing, (*extra_headers, *closing)))
    if not head_only:
        start = 0
        for index, chunk in enumerate(script.chunks):
            data = body(start, chunk.size)
            yield Frame("chunk", chunk, chunk_coded(data) if framing == "chunked" else data, index, chunk.size)
            start += chunk.size
    end = _end(script, framing, head_only)
    yield replace(end, close="fin") if last and end.close == "keep" else end


def interim(status: int, headers: tuple[tuple[str, str], ...] = ()) -> bytes:
    """An informational response (RFC 9110, section 15.2): a head and nothing else."""
    lines = [f"HTTP/1.1 {status} {_reason(status)}", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def head(script: Script, framing: Framing, extra_headers: tuple[tuple[str, str], ...] = ()) -> bytes:
    """Status line and header section (RFC 9112, sections 4 and 5)."""
    version = "1.0" if framing == "http10" else "1.1"
    lines = [f"HTTP/{version} {script.status} {_reason(script.status)}", f"content-type: {script.content_type}"]
    given = {name.lower() for name, _ in script.headers}
    lines += [f"{name}: {value}" for name, value in extra_headers if name.lower() not in given]
    lines += [f"{name}: {value}" for name, value in script.headers]
    if script.trailers and framing == "chunked" and "trailer" not in given:
        lines.append("trailer: " + ", ".join(dict.fromkeys(name for name, _ in script.trailers)))
    if framing == "chunked":
        lines.append("transfer-encoding: chunked")
    elif framing == "content-length":
        lines.append(f"content-length: {script.promised}")
    else:
        lines.append("connection: close")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def chunk_coded(data: bytes) -> bytes:
    """One chunk of the chunked coding (RFC 9112, section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def last_chunk(trailers: tuple[tuple[str, str], ...] = ()) -> bytes:
    """The end of the chunked coding, with its trailer section (RFC 9112, section 7.1.2)."""
    lines = ["0", *(f"{name}: {value}" for name, value in trailers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _end(script: Script, framing: Framing, head_only: bool) -> Frame:
    step = script.ending
    match step.kind:
        case "finish":
            by_close = framing in ("close-delimited", "http10")
            terminator = last_chunk(script.trailers) if framing == "chunked" and not head_only else b""
            return Frame("end", step, terminator, close="fin" if by_close else "keep")
        case "fin" | "short":
            return Frame("end", step, b"", close="fin")
        case "malformed":
            coded = framing == "chunked" and not head_only
            return Frame("end", step, b"no-size\r\nnot a chunk\r\n" if coded else b"", close="fin")
        case kind:
            return Frame("end", step, b"", close=kind)

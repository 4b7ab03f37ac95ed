"""The same event stream in other forms that the standard allows: script → script. Pure.

Source: WHATWG HTML, "Server-sent events", section 9.2.5 (line ends, comments) and 9.2.6 (an event that no blank line
follows is none). Times and gates of the events stay.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

from fake_upstream.script import Chunk, Script, ScriptError
from fake_upstream.sse import EventDecoder


def with_line_ends(script: Script, end: str) -> Script:
    """Lines end with `end`: LF, CR LF or CR."""
    return _rewritten(script, lambda event, last: event.replace("\n", end))


def with_comments(script: Script, comment: str) -> Script:
    """A comment before every event but the first, as servers send to keep a connection alive."""
    first = True

    def commented(event: str, last: bool) -> str:
        nonlocal first
        begun, first = not first, False
        return f": {comment}\n\n{event}" if begun else event

    return _rewritten(script, commented)


def with_member(script: Script, name: str, value: str) -> Script:
    """A member more in each event's JSON, before the others, written in UTF-8 as it is."""

    def member(event: str, last: bool) -> str:
        (read,) = EventDecoder().feed(event.encode())
        return f"data: {json.dumps({name: value, **json.loads(read.data)}, ensure_ascii=False)}\n\n"

    return _rewritten(script, member)


def without_last_blank_line(script: Script) -> Script:
    """The last event's line ends, and no blank line follows."""
    return _rewritten(script, lambda event, last: event.removesuffix("\n") if last else event)


def gated_within(script: Script, inside: str) -> Script:
    """In chunks of one byte each, with a gate behind the first byte of `inside` where that first occurs, no other.

    So whoever reads what there is has it in two pieces, however his machine is paced.
    """
    data = script.text.encode()
    at = data.find(inside.encode())
    if at < 0 or not inside:
        raise ScriptError("inside", inside, "name something that the text holds")
    chunks = [Chunk(size=1)] * len(data)
    chunks[at + 1] = Chunk(size=1, gate=True)
    return script.but(chunks=tuple(chunks))


def _rewritten(script: Script, change: Callable[[str, bool], str]) -> Script:
    """Each chunk's text changed; change(text, whether it is the last)."""
    if script.payload != "sse":
        raise ScriptError("payload", script.payload, 'only an event stream ("sse") has events')
    data = script.text.encode()
    last = len(script.ends) - 1
    events = [change(data[a:b].decode(), i == last) for i, (a, b) in enumerate(pairwise((0, *script.ends)))]
    chunks = [replace(chunk, size=len(e.encode())) for chunk, e in zip(script.chunks, events, strict=True)]
    return script.but(chunks=tuple(chunks), text="".join(events))

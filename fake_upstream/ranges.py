"""Byte ranges (RFC 9110, section 14): a script and a Range header → the script of the part. Pure.

For scripts that opt in, whatever the method is, HEAD excepted. Several ranges, other units and what cannot be
parsed are ignored, as section 14.2 allows: the answer is then the whole.
"""

from __future__ import annotations

import re
from dataclasses import replace

from fake_upstream.audio import Body
from fake_upstream.script import Script

RANGE = re.compile(r"bytes=[ \t]*([0-9]*)-([0-9]*)[ \t]*", re.IGNORECASE)
LONGEST_NUMBER = 4000
"""Digits of a position: Python reads no more, and no body is that long."""


def answer_range(script: Script, body: Body, method: str, headers: tuple[tuple[str, str], ...]) -> tuple[Script, Body]:
    """The script and the body to play for a request with these headers."""
    if not script.ranges:
        return script, body
    offered = script.but(headers=(("accept-ranges", "bytes"), *script.headers))
    asked = [value for name, value in headers if name.lower() == "range"]
    if script.status != 200 or method == "HEAD" or len(asked) != 1 or not _still_valid(script, headers):
        return offered, body
    whole = script.promised if script.framing == "content-length" else script.total
    found = RANGE.fullmatch(asked[0].strip(" \t"))
    if not found or not any(found.groups()) or max(map(len, found.groups())) > LONGEST_NUMBER:
        return offered, body
    first, last = _positions(found[1], found[2], whole)
    if found[1] and found[2] and int(found[2]) < int(found[1]):
        return offered, body  # an invalid int-range (section 14.1.1)
    if first >= whole or last < first:
        return _unsatisfied(offered, whole), body
    return _part(offered, first, last, whole), lambda start, size: body(first + start, size)


def _positions(first: str, last: str, whole: int) -> tuple[int, int]:
    """The first and the last position that are asked for; `-n` is the last n bytes."""
    if not first:
        return max(0, whole - int(last)), whole - 1 if int(last) else -1
    return int(first), min(int(last), whole - 1) if last else whole - 1


def _part(script: Script, first: int, last: int, whole: int) -> Script:
    """206 with the bytes from `first` to `last`. Chunks outside of it are left out, with their times and gates."""
    chunks = []
    for end, chunk in zip(script.ends, script.chunks, strict=True):
        size = min(end, last + 1) - max(end - chunk.size, first)
        if size > 0:
            chunks.append(replace(chunk, size=size))
    missing = last + 1 - first - sum(chunk.size for chunk in chunks)
    ending = script.ending
    if ending.kind == "short" and not missing:
        ending = replace(ending, kind="fin")
    return script.but(
        status=206,
        headers=(*script.headers, ("content-range", f"bytes {first}-{last}/{whole}")),
        chunks=tuple(chunks),
        missing=missing,
        ending=ending,
        payload="seeded",
        text="",
    )


def _unsatisfied(script: Script, whole: int) -> Script:
    """416 without a body (section 15.5.17)."""
    return script.but(
        status=416,
        headers=(*script.headers, ("content-range", f"bytes */{whole}")),
        chunks=(),
        missing=0,
        ending=replace(script.ending, kind="finish"),
        payload="seeded",
        text="",
        silent=False,
    )


def _still_valid(script: Script, headers: tuple[tuple[str, str], ...]) -> bool:
    """Whether the script has the validator that If-Range asks for, if it does (section 13.1.5)."""
    wanted = [value for name, value in headers if name.lower() == "if-range"]
    strong = {value for name, value in script.headers if name.lower() in ("etag", "last-modified")}
    return not wanted or (wanted[0] in strong and not wanted[0].startswith("W/"))

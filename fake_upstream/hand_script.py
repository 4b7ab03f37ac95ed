"""Scripts inside the request text, for a fake upstream that is run by hand. Pure.

    Hello. [[chunks=10x512 every=0.2 stall=3:2 framing=content-length end=reset]]

Words in double brackets change the plain script of the request; `[[{...}]]` replaces it by a script in JSON.
Within the harness scripts are armed through the control interface instead.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import cast, get_args

from fake_upstream import faults, pacing
from fake_upstream.script import MOST_CHUNKS, Early, Ending, EndingKind, Script, ScriptError, check_choice
from fake_upstream.script_json import script_from_json

BRACKETS = re.compile(r"\[\[(.*)\]\]", re.DOTALL)


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ScriptError(name, text, "give a number") from None


def _whole(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ScriptError(name, text, "give a whole number") from None


def _pair(name: str, text: str, separator: str) -> tuple[str, str]:
    left, found, right = text.partition(separator)
    if not found:
        raise ScriptError(name, text, f"give two numbers with {separator!r} between them")
    return left, right


def _header(name: str, text: str) -> tuple[str, str]:
    left, found, right = text.partition(":")
    if not found:
        raise ScriptError(name, text, "give a header as name:value")
    return left, right


def _chunks(script: Script, text: str) -> Script:
    count, size = _pair("chunks", text, "x")
    every = script.chunks[-1].after if script.chunks else 0.0
    number, length = _whole("chunks", count), _whole("chunks", size)
    if number > MOST_CHUNKS:
        raise ScriptError("chunks", number, f"a script holds at most {MOST_CHUNKS} chunks")
    return script.but(chunks=pacing.steady(number, length, every), payload="seeded")


def _every(script: Script, text: str) -> Script:
    every = _number("every", text)
    return script.but(chunks=tuple(replace(chunk, after=every) for chunk in script.chunks))


def _stall(script: Script, text: str) -> Script:
    before, seconds = _pair("stall", text, ":")
    return faults.stall(script, _whole("stall", before), _number("stall", seconds))


def _recorded(script: Script, text: str) -> Script:
    pairs = [_pair("recorded", item, ":") for item in text.split(",")]
    sizes = [_whole("recorded", size) for size, _ in pairs]
    return script.but(chunks=pacing.recorded(sizes, [_number("recorded", gap) for _, gap in pairs]), payload="seeded")


def _ramp(script: Script, text: str) -> Script:
    first, last = _pair("ramp", text, ":")
    return script.but(chunks=pacing.ramped_gaps(script.chunks, _number("ramp", first), _number("ramp", last)))


def _grow(script: Script, text: str) -> Script:
    first, last = _pair("grow", text, ":")
    chunks = pacing.ramped_sizes(script.chunks, _whole("grow", first), _whole("grow", last))
    return script.but(chunks=chunks, payload="seeded")


def _slice(script: Script, text: str) -> Script:
    parts = text.split(":")
    if len(parts) > 3:
        raise ScriptError("slice", text, "give bytes, or bytes:seconds, or bytes:seconds:variation")
    size, delay, variation = [*parts, "0", "0"][:3]
    return faults.slicer(script, _whole("slice", size), _number("slice", delay), _whole("slice", variation))


def _early(script: Script, text: str) -> Script:
    return script.but(early=(*script.early, Early(headers=(_header("early", text),))))


def _trailer(script: Script, text: str) -> Script:
    return script.but(trailers=(*script.trailers, _header("trailer", text)))


def _ranges(script: Script, text: str) -> Script:
    check_choice("ranges", text, ("yes", "no"))
    return script.but(ranges=text == "yes")


def _end(script: Script, text: str) -> Script:
    check_choice("end", text, get_args(EndingKind))
    return script.but(ending=Ending(kind=cast(EndingKind, text)))


WORDS: dict[str, Callable[[Script, str], Script]] = {
    "chunks": _chunks,
    "every": _every,
    "stall": _stall,
    "recorded": _recorded,
    "ramp": _ramp,
    "grow": _grow,
    "bandwidth": lambda script, text: faults.bandwidth(script, _number("bandwidth", text)),
    "slice": _slice,
    "latency": lambda script, text: faults.latency(script, _number("latency", text)),
    "limit": lambda script, text: faults.limit_data(script, _whole("limit", text)),
    "framing": lambda script, text: script.but(framing=text),
    "status": lambda script, text: script.but(status=_whole("status", text)),
    "type": lambda script, text: script.but(content_type=text),
    "early": _early,
    "trailer": _trailer,
    "ranges": _ranges,
    "end": _end,
}
"""What the words in double brackets mean. `name=value`, applied from left to right."""


def by_hand(text: str, plain: Script) -> Script:
    """The script that a request text asks for: the plain one, changed by its words. Raises ScriptError."""
    found = BRACKETS.search(text)
    if not found:
        return plain
    inside = found[1].strip()
    if inside.startswith("{"):
        try:
            data = json.loads(inside)
        except (ValueError, RecursionError) as error:
            raise ScriptError("script", inside, f"this is not JSON ({error})") from None
        return script_from_json(data)
    script = plain
    for word in inside.split():
        name, equals, value = word.partition("=")
        if not equals or name not in WORDS:
            raise ScriptError("script", word, f"write name=value with a name of {', '.join(WORDS)}")
        script = WORDS[name](script, value)
    return script

"""Scripts as JSON, for the control API and for traces. Pure.

A run of equal chunks is written once with `times`. Raises ScriptError that names the field, the value, the remedy.
"""

from __future__ import annotations

from dataclasses import fields
from itertools import groupby
from typing import Any, TypeVar

from fake_upstream.script import MOST_CHUNKS, Chunk, Early, Ending, Script, ScriptError, Step, check_whole
from fake_upstream.utterance import Speech

S = TypeVar("S", bound=Step)


def script_to_json(script: Script) -> dict[str, Any]:
    """Only what differs from a plain script, plus the chunks."""
    data: dict[str, Any] = {"chunks": [_run_to_json(chunk, len(list(run))) for chunk, run in groupby(script.chunks)]}
    for field in fields(script):
        value = getattr(script, field.name)
        if field.name == "chunks" or value == field.default:
            continue
        if isinstance(value, Step):
            value = _step_to_json(value)
        elif field.name in ("headers", "trailers"):
            value = [list(pair) for pair in value]
        elif field.name == "early":
            value = [_step_to_json(early) for early in value]
        elif isinstance(value, Speech):
            value = {f.name: getattr(value, f.name) for f in fields(value) if getattr(value, f.name) != f.default}
        data[field.name] = value
    return data


def script_from_json(data: Any) -> Script:
    """Read what `script_to_json` writes, or what a person wrote."""
    if not isinstance(data, dict):
        raise ScriptError("script", data, "give an object")
    known = [field.name for field in fields(Script)]
    _check_keys("", data, known)
    given = dict(data)
    chunks: list[Chunk] = []
    for index, item in enumerate(_list("chunks", given.pop("chunks", []))):
        name = f"chunks[{index}]"
        item = dict(_object(name, item))
        times = item.pop("times", 1)
        check_whole(f"{name}.times", times, 1)
        if len(chunks) + times > MOST_CHUNKS:
            raise ScriptError(f"{name}.times", times, f"a script holds at most {MOST_CHUNKS} chunks")
        if "size" not in item:
            raise ScriptError(f"{name}.size", None, "say how many bytes the chunk has")
        chunks += [_step(name, Chunk, item)] * times
    if "head" in given:
        given["head"] = _step("head", Step, given["head"])
    if "ending" in given:
        ending = given["ending"]
        given["ending"] = _step("ending", Ending, {"kind": ending} if isinstance(ending, str) else ending)
    for name in ("headers", "trailers"):
        if name in given:
            given[name] = _pairs(name, given[name])
    if "early" in given:
        items = enumerate(_list("early", given["early"]))
        given["early"] = tuple(_step(f"early[{index}]", Early, item) for index, item in items)
    if given.get("speech") is not None:
        given["speech"] = _speech(given["speech"])
    return Script(chunks=tuple(chunks), **given)


def _run_to_json(chunk: Chunk, times: int) -> dict[str, Any]:
    return {"size": chunk.size, **_step_to_json(chunk), **({"times": times} if times > 1 else {})}


def _step_to_json(step: Step) -> dict[str, Any]:
    given = {"after": step.after} if step.after else {}
    return {
        **given,
        **({"gate": True} if step.gate else {}),
        **({"kind": step.kind} if isinstance(step, Ending) else {}),
        **({"status": step.status, "headers": list(map(list, step.headers))} if isinstance(step, Early) else {}),
    }


def _step(name: str, kind: type[S], data: Any) -> S:
    given = _object(name, data)
    _check_keys(f"{name}.", given, [field.name for field in fields(kind)])
    if "headers" in given:
        given = {**given, "headers": _pairs(f"{name}.headers", given["headers"])}
    step = kind(**given)
    step.check(name)
    return step


def _speech(data: Any) -> Speech:
    given = _object("speech", data)
    _check_keys("speech.", given, [field.name for field in fields(Speech)])
    try:
        return Speech(**{"text": "", **given})
    except ValueError as error:
        raise ScriptError("speech", data, str(error)) from None


def _pairs(name: str, data: Any) -> tuple[tuple[Any, ...], ...]:
    pairs = list(data.items()) if isinstance(data, dict) else data
    if not isinstance(pairs, list) or any(not isinstance(pair, list | tuple) or len(pair) != 2 for pair in pairs):
        raise ScriptError(name, data, "give an object, or a list of [name, value]")
    return tuple(tuple(pair) for pair in pairs)


def _object(name: str, data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise ScriptError(name, data, "give an object")
    return data


def _list(name: str, data: Any) -> list[Any]:
    if not isinstance(data, list):
        raise ScriptError(name, data, "give a list")
    return data


def _check_keys(prefix: str, data: dict[str, Any], known: list[str]) -> None:
    for key in data:
        if key not in known:
            raise ScriptError(f"{prefix}{key}", data[key], f"no such field; there are {', '.join(known)}")

"""The published schema: it is the dataclasses', it takes every script, and what it refuses is refused by name."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from rawclient import GUARD, served
from test_script import flags, header_names, header_values, script_like, scripts, seconds

from fake_upstream import script_schema
from fake_upstream.script import Chunk, Early, Ending, Expect, Script, ScriptError, Step
from fake_upstream.script_json import script_from_json, script_to_json
from fake_upstream.utterance import Speech

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads(script_schema.FILE.read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)
headers = st.lists(st.tuples(header_names, header_values), max_size=2).map(tuple)


@st.composite
def full_scripts(draw: st.DrawFn) -> Script:
    """Any script, with hints, trailers, ranges and expectations where they can be."""
    script = draw(scripts())
    statuses = st.sampled_from([100, 102, 103, 199])
    early = st.lists(st.builds(Early, seconds, flags, statuses, headers), max_size=2).map(tuple)
    return script.but(
        early=() if script.framing == "http10" else draw(early),
        trailers=draw(headers) if script.framing == "chunked" else (),
        ranges=draw(flags),
        expect=draw(st.sampled_from(get_args(Expect))),
    )


def test_it_is_not_stale() -> None:
    stale = "script.schema.json is not what the dataclasses say: run python -m fake_upstream.script_schema"
    assert script_schema.FILE.read_text(encoding="utf-8") == script_schema.text(), stale


def test_it_is_a_schema_and_it_is_shipped() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    shipped = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    assert script_schema.FILE.name in shipped["fake_upstream"]


def test_it_knows_every_field() -> None:
    assert set(SCHEMA["properties"]) == {field.name for field in fields(Script)}
    for kind in (Step, Chunk, Early, Speech):
        known = set(SCHEMA["$defs"][kind.__name__]["properties"]) - {"times"}
        assert known == {field.name for field in fields(kind)}
    assert set(SCHEMA["$defs"]["Ending"]["oneOf"][0]["properties"]) == {field.name for field in fields(Ending)}


def test_a_field_of_an_unknown_type_is_an_error() -> None:
    @dataclass
    class Odd:
        field: complex

    with pytest.raises(TypeError, match="say in fake_upstream"):
        script_schema._object(Odd)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(full_scripts())
def test_every_script_is_valid_and_survives_json(script: Script) -> None:
    data = json.loads(json.dumps(script_to_json(script)))
    VALIDATOR.validate(data)
    assert script_from_json(data) == script


BY_HAND: list[dict[str, Any]] = [
    {},
    {"chunks": [{"size": 5, "times": 3}], "ending": "reset", "headers": {"x-a": "1"}},
    {"headers": [["x", "1"], ["x", "2"]], "trailers": {"x-sum": "5"}},
    {"early": [{}, {"status": 102, "headers": {"link": "</a>"}, "gate": True}], "expect": "ignore"},
]


@pytest.mark.parametrize("data", BY_HAND)
def test_what_a_person_writes_is_valid(data: dict[str, Any]) -> None:
    VALIDATOR.validate(data)
    script_from_json(data)


def refuses(data: Any) -> str | None:
    """The field that is named where the schema refuses; None where it does not."""
    if VALIDATOR.is_valid(data):
        return None
    with pytest.raises(ScriptError) as caught:
        script_from_json(data)
    assert str(caught.value).startswith(f"script field {caught.value.field_name!r} is ")
    return caught.value.field_name


@settings(deadline=None)
@given(script_like)
def test_what_the_schema_refuses_is_refused_by_name(data: Any) -> None:
    assert refuses(data) != "" or "" in data  # the key of a field may itself be empty


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(full_scripts(), st.data())
def test_one_field_gone_wrong_is_refused_by_its_name(script: Script, data: st.DataObject) -> None:
    given = script_to_json(script)
    name = data.draw(st.sampled_from([field.name for field in fields(Script)]))
    given[name] = data.draw(st.sampled_from([None, -1, 1.5, True, {}, [], "nonsense", [[]], {"a": 1}, "a\nb"]))
    refused = refuses(given)
    assert refused is None or refused.partition(".")[0].partition("[")[0] in (name, "headers")


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"chunk": []}, "chunk"),
    ({"chunks": [{}]}, "chunks[0].size"),
    ({"chunks": [{"size": 1, "times": 1_000_001}]}, "chunks[0].times"),
    ({"chunks": [{"size": 1, "after": -1}]}, "chunks[0].after"),
    ({"status": 199}, "status"),
    ({"headers": {"a b": "c"}}, "headers"),
    ({"headers": [["a", "b", "c"]]}, "headers"),
    ({"content_type": "\u20ac"}, "headers"),
    ({"ending": "explode"}, "ending.kind"),
    ({"ending": {"when": 1}}, "ending.when"),
    ({"early": {}}, "early"),
    ({"early": [{"status": 101}]}, "early[0].status"),
    ({"early": [{"headers": {"a": 1}}]}, "early[0].headers"),
    ({"early": [{"headers": 5}]}, "early[0].headers"),
    ({"early": [{"link": 5}]}, "early[0].link"),
    ({"trailers": [["a"]]}, "trailers"),
    ({"trailers": {"a": "b\r\n"}}, "trailers"),
    ({"ranges": "yes"}, "ranges"),
    ({"expect": "wait"}, "expect"),
    ({"speech": {"text": ""}}, "speech"),
    ({"speech": {"text": "a", "speed": 9}}, "speech"),
    ({"speech": {"text": "a", "response_format": "ogg"}}, "speech"),
]


@pytest.mark.parametrize(("data", "name"), REFUSED)
def test_both_refuse(data: dict[str, Any], name: str) -> None:
    assert refuses(data) == name


async def test_the_control_api_serves_it(loop: str) -> None:
    async with served() as up, httpx.AsyncClient(base_url=up.control_url, trust_env=False, timeout=GUARD) as http:
        answer = (await http.get("/schema")).json()
        assert answer == {"schema": 1, **SCHEMA}
        Draft202012Validator(answer).validate({"chunks": [{"size": 5}]})

"""Scripts as data: what can be played, what is refused and in which words, and the way through JSON."""

from __future__ import annotations

import json
from math import inf, nan
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_upstream.script import WRITTEN, Chunk, Ending, EndingKind, Framing, Payload, Script, ScriptError, Step
from fake_upstream.script_json import MOST_CHUNKS, script_from_json, script_to_json
from fake_upstream.utterance import FORMATS, Speech

SECONDS = "seconds after the step before it"
ONE = (Chunk(size=1),)

REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("status", {"status": 199}, "199", "200 or more"),
    ("status", {"status": 600}, "600", "200 to 599"),
    ("status", {"status": "200"}, "'200'", "a whole number"),
    ("status", {"status": True}, "True", "a whole number"),
    ("content_type", {"content_type": 5}, "5", "give text"),
    ("content_type", {"content_type": "\ud800"}, "ud800", "without lone surrogates"),
    ("headers", {"content_type": "a\r\nb"}, "a\\r\\nb", "no line break"),
    ("headers", {"headers": (("x", 5),)}, "5", "pairs of text"),
    ("headers", {"headers": (("x:", "y"),)}, "x:", "no space or colon"),
    ("headers", {"headers": (("", "y"),)}, "''", "no space or colon"),
    ("headers", {"headers": (("x", "y\n"),)}, "y\\n", "no line break"),
    ("headers", {"headers": (("x", "\u20ac"),)}, "\u20ac", "Latin-1"),
    ("framing", {"framing": "http2"}, "'http2'", "chunked, content-length, close-delimited, http10"),
    ("framing", {"framing": []}, "[]", "choose one of"),
    ("payload", {"payload": "mp3"}, "'mp3'", "choose one of seeded, "),
    ("seed", {"seed": -1}, "-1", "0 or more"),
    ("seed", {"seed": 1.5}, "1.5", "a whole number"),
    ("missing", {"missing": -1}, "-1", "0 or more"),
    ("missing", {"missing": 3, "framing": "content-length"}, "3", "give 0"),
    ("text", {"text": None}, "None", "give text"),
    ("silent", {"silent": 1}, "1", "true or false"),
    ("silent", {"silent": True, "chunks": ONE, "ending": Ending(kind="fin")}, "True", "has no chunks"),
    ("ending.kind", {"silent": True}, "'finish'", "choose fin, reset or hang"),
    ("head.after", {"head": Step(after=-1)}, "-1", SECONDS),
    ("head.after", {"head": Step(after=inf)}, "inf", SECONDS),
    ("head.after", {"head": Step(after=nan)}, "nan", SECONDS),
    ("head.after", {"head": Step(after=10**400)}, "1000", SECONDS),
    ("head.after", {"head": Step(after=True)}, "True", SECONDS),
    ("head.gate", {"head": Step(gate=1)}, "1", "true or false"),  # type: ignore[arg-type]
    ("chunks[1].size", {"chunks": (*ONE, Chunk(size=0))}, "0", "1 or more"),
    ("chunks[1].after", {"chunks": (*ONE, Chunk(size=1, after="1"))}, "'1'", SECONDS),  # type: ignore[arg-type]
    ("chunks[0].gate", {"chunks": (Chunk(size=1, gate=None),)}, "None", "true or false"),  # type: ignore[arg-type]
    ("speech", {"payload": "speech"}, "None", "say what is spoken"),
    ("speech", {"speech": "Hello."}, "Hello.", "give a Speech"),
    ("chunks", {"payload": "sse", "text": "data: 1"}, "0", "has 7 bytes"),
    ("chunks", {"payload": "text", "text": "h\u00e9", "chunks": ONE}, "1", "has 3 bytes"),
    ("ending.kind", {"ending": Ending(kind="explode")}, "'explode'", "finish, fin, reset, malformed"),  # type: ignore[arg-type]
    ("ending.after", {"ending": Ending(after=-0.1)}, "-0.1", SECONDS),
    ("ending.kind", {"ending": Ending(kind="short")}, "'short'", '"content-length"'),
    ("ending.kind", {"ending": Ending(kind="malformed"), "framing": "http10"}, "'malformed'", '"chunked"'),
]


@pytest.mark.parametrize(
    ("name", "fields", "value", "remedy"), REFUSED, ids=[f"{case[0]} {case[2]}" for case in REFUSED]
)
def test_a_refusal_names_the_field_the_value_and_the_remedy(
    name: str, fields: dict[str, Any], value: str, remedy: str
) -> None:
    with pytest.raises(ScriptError) as caught:
        Script(**fields)
    assert caught.value.field_name == name
    message = str(caught.value)
    assert message.startswith(f"script field {name!r} is ")
    assert value in message
    assert remedy in message


def test_what_a_script_knows_of_itself() -> None:
    script = Script(
        (Chunk(size=3, gate=True), Chunk(size=5), Chunk(size=2, gate=True)), head=Step(gate=True), ending=Ending()
    )
    assert script.ends == (3, 8, 10)
    assert (script.total, script.gates, script.promised) == (10, 3, 10)
    assert [type(step) for step in script.steps()] == [Step, Chunk, Chunk, Chunk, Ending]
    assert (Script().total, Script().gates, Script().ends) == (0, 0, ())


def test_a_short_script_promises_more_than_it_holds() -> None:
    script = Script(ONE, framing="content-length", ending=Ending(kind="short"))
    assert script.promised == 1 + 1024
    assert script.but(missing=7).promised == 8


def test_but_changes_a_copy_and_checks_it() -> None:
    script = Script(ONE, seed=4)
    changed = script.but(chunks=ONE * 3)
    assert (script.total, changed.total, changed.seed) == (1, 3, 4)
    with pytest.raises(ScriptError):
        script.but(status=0)


seconds = st.floats(0, 1e6) | st.integers(0, 10**6)
flags = st.booleans()
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
header_names = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=9)
header_values = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=20)
speeches = st.builds(
    Speech, st.text(min_size=1, max_size=9), st.text(max_size=9), st.sampled_from(FORMATS), st.floats(0.25, 4.0)
)


@st.composite
def scripts(draw: st.DrawFn) -> Script:
    """Any script that can be played, though not all in reasonable time."""
    payload = draw(st.sampled_from(get_args(Payload)))
    framing = draw(st.sampled_from(get_args(Framing)))
    silent = draw(flags)
    kinds = set(get_args(EndingKind))
    kinds -= {"short"} if framing != "content-length" else set()
    kinds -= {"malformed"} if framing != "chunked" else set()
    kinds -= {"finish"} if silent else set()
    kind = draw(st.sampled_from(sorted(kinds)))
    text = draw(texts)
    if silent:
        sizes, text = [], "" if payload in WRITTEN else text
    elif payload in WRITTEN:
        size = len(text.encode())
        cuts = sorted(draw(st.sets(st.integers(1, max(1, size - 1)), max_size=5))) if size > 1 else []
        sizes = [b - a for a, b in zip([0, *cuts], [*cuts, size], strict=True)] if size else []
    else:
        sizes = draw(st.lists(st.integers(1, 2**40), max_size=6))
    times = draw(st.integers(1, 3)) if payload not in WRITTEN else 1
    chunks = [Chunk(size=size, after=draw(seconds), gate=draw(flags)) for size in sizes for _ in range(times)]
    if chunks and times > 1:
        chunks = [chunks[0]] * times + chunks  # equal neighbours, which JSON writes once
    return Script(
        chunks=tuple(chunks),
        status=draw(st.integers(200, 599)),
        headers=tuple(draw(st.lists(st.tuples(header_names, header_values), max_size=3))),
        content_type=draw(header_values),
        framing=framing,
        head=Step(draw(seconds), draw(flags)),
        ending=Ending(draw(seconds), draw(flags), kind),
        payload=payload,
        seed=draw(st.integers(0, 2**64)),
        text=text,
        speech=draw(speeches if payload == "speech" else st.none() | speeches),
        missing=0 if kind == "finish" else draw(st.integers(0, 2**32)),
        silent=silent,
    )


@settings(deadline=None)
@given(scripts())
def test_scripts_survive_json(script: Script) -> None:
    assert script_from_json(json.loads(json.dumps(script_to_json(script)))) == script


def test_json_is_small_where_the_script_is_plain() -> None:
    assert script_to_json(Script((Chunk(size=5),) * 1000)) == {"chunks": [{"size": 5, "times": 1000}]}
    assert script_to_json(Script()) == {"chunks": []}


def test_what_a_person_writes_in_json() -> None:
    """An ending is a word or an object, headers an object or a list, chunks may be left out."""
    assert script_from_json({}) == Script()
    by_hand = {
        "chunks": [{"size": 5, "times": 2}, {"size": 3, "gate": True, "after": 1}],
        "ending": "reset",
        "headers": {"x-a": "1", "x-b": "2"},
        "head": {"after": 0.5},
    }
    assert script_from_json(by_hand) == Script(
        (Chunk(size=5), Chunk(size=5), Chunk(size=3, gate=True, after=1)),
        ending=Ending(kind="reset"),
        headers=(("x-a", "1"), ("x-b", "2")),
        head=Step(after=0.5),
    )
    assert script_from_json({"headers": [["x", "1"], ["x", "2"]]}).headers == (("x", "1"), ("x", "2"))
    assert script_from_json({"ending": {"kind": "fin", "gate": True}}).ending == Ending(gate=True, kind="fin")


@pytest.mark.parametrize(
    ("data", "name", "remedy"),
    [
        (None, "script", "give an object"),
        ([], "script", "give an object"),
        ({"chunk": []}, "chunk", "there are chunks, status, headers"),
        ({"chunks": {}}, "chunks", "give a list"),
        ({"chunks": None}, "chunks", "give a list"),
        ({"chunks": [5]}, "chunks[0]", "give an object"),
        ({"chunks": [{}]}, "chunks[0].size", "how many bytes"),
        ({"chunks": [{"size": 1}, {"size": "2"}]}, "chunks[1].size", "a whole number"),
        ({"chunks": [{"size": 1, "length": 2}]}, "chunks[0].length", "there are after, gate, size"),
        ({"chunks": [{"size": 1, "times": 0}]}, "chunks[0].times", "1 or more"),
        ({"chunks": [{"size": 1, "times": MOST_CHUNKS + 1}]}, "chunks[0].times", "at most"),
        ({"chunks": [{"size": 1, "times": MOST_CHUNKS}, {"size": 1}]}, "chunks[1].times", "at most"),
        ({"head": 5}, "head", "give an object"),
        ({"head": {"size": 5}}, "head.size", "there are after, gate"),
        ({"head": {"after": "soon"}}, "head.after", SECONDS),
        ({"ending": "explode"}, "ending.kind", "choose one of"),
        ({"ending": None}, "ending", "give an object"),
        ({"ending": {"kind": {}}}, "ending.kind", "choose one of"),
        ({"headers": 5}, "headers", "give an object, or a list"),
        ({"headers": None}, "headers", "give an object, or a list"),
        ({"headers": "x: y"}, "headers", "give an object, or a list"),
        ({"headers": [["x"]]}, "headers", "give an object, or a list"),
        ({"headers": ["xy"]}, "headers", "give an object, or a list"),
        ({"headers": {"x": None}}, "headers", "pairs of text"),
        ({"status": None}, "status", "a whole number"),
        ({"text": {}}, "text", "give text"),
        ({"speech": "Hello."}, "speech", "give an object"),
        ({"speech": {"words": "Hello."}}, "speech.words", "there are text, voice, response_format, speed"),
        ({"speech": {}}, "speech", "text is empty"),
        ({"speech": {"text": 5}}, "speech", "text and voice are texts"),
        ({"speech": {"text": "a", "voice": None}}, "speech", "text and voice are texts"),
        ({"speech": {"text": "a", "speed": "1"}}, "speech", "from 0.25 to 4.0"),
        ({"speech": {"text": "a", "speed": True}}, "speech", "from 0.25 to 4.0"),
        ({"speech": {"text": "a", "response_format": []}}, "speech", "choose one of mp3"),
    ],
)
def test_refusals_of_json(data: Any, name: str, remedy: str) -> None:
    """Whatever JSON holds, the answer is a ScriptError that names the field."""
    with pytest.raises(ScriptError) as caught:
        script_from_json(data)
    assert caught.value.field_name == name
    assert remedy in str(caught.value)


json_values = st.recursive(
    st.none() | flags | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
fields = st.sampled_from([*Script.__dataclass_fields__, "size", "after", "gate", "kind", "times"])
script_like = st.recursive(
    json_values | st.sampled_from([*get_args(Framing), *get_args(EndingKind), *get_args(Payload)]),
    lambda inner: st.dictionaries(fields, inner, max_size=5) | st.lists(inner, max_size=3),
    max_leaves=12,
)


@settings(deadline=None)
@given(script_like)
def test_no_json_gets_past_the_checks(data: Any) -> None:
    """It is a script or a ScriptError, and a script that it is survives JSON."""
    try:
        script = script_from_json(data)
    except ScriptError:
        return
    assert script_from_json(script_to_json(script)) == script

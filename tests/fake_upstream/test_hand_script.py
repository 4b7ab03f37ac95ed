"""Scripts inside the request text: every word, and what is said of a wrong one."""

from __future__ import annotations

import json

import pytest

from fake_upstream import faults, pacing
from fake_upstream.hand_script import WORDS, by_hand
from fake_upstream.script import Chunk, Early, Ending, Script, ScriptError, Step
from fake_upstream.script_json import script_to_json

PLAIN = Script(pacing.steady(3, 10, 0.1), content_type="audio/mpeg", seed=9)

WORKS = {
    "": PLAIN,
    "chunks=4x512": PLAIN.but(chunks=pacing.steady(4, 512, 0.1)),
    "chunks=0x1": PLAIN.but(chunks=()),
    "every=0.5": PLAIN.but(chunks=pacing.steady(3, 10, 0.5)),
    "chunks=4x512 every=0": PLAIN.but(chunks=pacing.burst(4, 512)),
    "every=2 chunks=4x512": PLAIN.but(chunks=pacing.steady(4, 512, 2)),
    "stall=1:3": faults.stall(PLAIN, 1, 3),
    "recorded=512:0,300:0.25": PLAIN.but(chunks=(Chunk(size=512), Chunk(size=300, after=0.25))),
    "ramp=0.5:1.5": PLAIN.but(chunks=tuple(Chunk(size=10, after=gap) for gap in (0.5, 1.0, 1.5))),
    "grow=5:9": PLAIN.but(chunks=tuple(Chunk(size=size, after=0.1) for size in (5, 7, 9))),
    "bandwidth=20": faults.bandwidth(PLAIN, 20),
    "slice=4": faults.slicer(PLAIN, 4),
    "slice=4:0.5": faults.slicer(PLAIN, 4, 0.5),
    "slice=4:0.5:2 bandwidth=5.5": faults.bandwidth(faults.slicer(PLAIN, 4, 0.5, 2), 5.5),
    "latency=1.5": PLAIN.but(head=Step(after=1.5)),
    "limit=15": faults.limit_data(PLAIN, 15),
    "framing=http10": PLAIN.but(framing="http10"),
    "status=503": PLAIN.but(status=503),
    "type=audio/wav": PLAIN.but(content_type="audio/wav"),
    "early=link:</a:b> early=x:": PLAIN.but(early=(Early(headers=(("link", "</a:b>"),)), Early(headers=(("x", ""),)))),
    "trailer=x-sum:5 trailer=x-end:": PLAIN.but(trailers=(("x-sum", "5"), ("x-end", ""))),
    "ranges=yes": PLAIN.but(ranges=True),
    "ranges=yes ranges=no": PLAIN,
    "end=reset": PLAIN.but(ending=Ending(kind="reset")),
    "framing=content-length end=short": PLAIN.but(framing="content-length", ending=Ending(kind="short")),
    "framing=content-length limit=15": faults.limit_data(PLAIN.but(framing="content-length"), 15),
}


@pytest.mark.parametrize("words", WORKS)
def test_words(words: str) -> None:
    """Applied from left to right; the text around the brackets does not matter."""
    expected = WORKS[words]
    assert by_hand(f"Hello. [[{words}]]", PLAIN) == expected
    assert by_hand(f"[[ {words}\n]] and more", PLAIN) == expected


def test_every_word_is_tried_here() -> None:
    assert {word.partition("=")[0] for words in WORKS for word in words.split()} == set(WORDS)


@pytest.mark.parametrize("text", ["", "Hello.", "a [b] c", "[ [end=reset] ]", "end=reset"])
def test_a_text_without_brackets_is_plain(text: str) -> None:
    assert by_hand(text, PLAIN) is PLAIN


def test_a_text_payload_gives_way_to_chunks() -> None:
    plain = Script((Chunk(size=2),), payload="text", text="hi")
    assert by_hand("[[chunks=3x5]]", plain).total == 15


def test_json_replaces_the_plain_script() -> None:
    script = Script((Chunk(size=3, gate=True),), status=418)
    assert by_hand(f"Hello [[ {json.dumps(script_to_json(script))} ]]", PLAIN) == script
    assert by_hand('[[{"headers": [["x", "[1]"]]}]]', PLAIN).headers == (("x", "[1]"),)


@pytest.mark.parametrize(
    ("words", "name", "remedy"),
    [
        ("hello", "script", "write name=value with a name of chunks, every, stall"),
        ("speed=3", "script", "write name=value with a name of"),
        ("chunks=5", "chunks", "give two numbers with 'x' between them"),
        ("chunks=axb", "chunks", "give a whole number"),
        ("chunks=1x", "chunks", "give a whole number"),
        ("chunks=-1x5", "count", "0 or more"),
        ("chunks=5x0", "chunks[0].size", "1 or more"),
        ("chunks=2000000x1", "chunks", "at most 1000000"),
        ("every=soon", "every", "give a number"),
        ("every=-1", "chunks[0].after", "from 0"),
        ("every=nan", "chunks[0].after", "from 0"),
        ("stall=3", "stall", "give two numbers with ':' between them"),
        ("stall=9:1", "before", "name one of the 3 chunks"),
        ("stall=1:x", "stall", "give a number"),
        ("recorded=512", "recorded", "give two numbers with ':' between them"),
        ("recorded=", "recorded", "give two numbers with ':' between them"),
        ("recorded=512:x", "recorded", "give a number"),
        ("recorded=x:1", "recorded", "give a whole number"),
        ("recorded=5:-1", "chunks[0].after", "from 0"),
        ("ramp=1", "ramp", "give two numbers with ':' between them"),
        ("ramp=1:-1", "last", "from 0"),
        ("grow=1:1.5", "grow", "give a whole number"),
        ("grow=0:1", "first", "1 or more"),
        ("bandwidth=0", "rate", "above 0"),
        ("bandwidth=fast", "bandwidth", "give a number"),
        ("slice=0", "size", "1 or more"),
        ("slice=4:x", "slice", "give a number"),
        ("slice=4:1:4", "variation", "leave at least one of the 4 bytes"),
        ("slice=4:1:2:3", "slice", "give bytes, or bytes:seconds, or"),
        ("chunks=1x2000000 slice=1", "size", "at most 1000000"),
        ("early=103", "early", "give a header as name:value"),
        ("early=:1", "early[0].headers", "no space or colon"),
        ("trailer=x", "trailer", "give a header as name:value"),
        ("framing=http10 trailer=x:1", "trailers", 'only the framing "chunked"'),
        ("ranges=maybe", "ranges", "choose one of yes, no"),
        ("latency=x", "latency", "give a number"),
        ("limit=x", "limit", "give a whole number"),
        ("framing=http2", "framing", "choose one of"),
        ("status=ok", "status", "give a whole number"),
        ("status=100", "status", "200 or more"),
        ("end=explode", "end", "choose one of finish, fin"),
        ("end=short", "ending.kind", 'only the framing "content-length"'),
        ("{", "script", "this is not JSON"),
        ('{"a": 1', "script", "this is not JSON"),
        ('{"chunks": ' + "[" * 100_000 + "]}", "script", "this is not JSON"),
        ('{"seed": ' + "1" * 5_000 + "}", "script", "this is not JSON"),
        ('{"chunk": 1}', "chunk", "no such field"),
    ],
)
def test_errors_name_the_word_and_the_remedy(words: str, name: str, remedy: str) -> None:
    with pytest.raises(ScriptError) as caught:
        by_hand(f"Hello [[{words}]]", PLAIN)
    assert caught.value.field_name == name
    assert remedy in str(caught.value)

"""A record as JSON: nothing is lost on the way, and a damaged trace says what is wrong with it."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any, get_args

import pytest
from builders import LOCKSTEP, MS, at_client, blocked_lockstep, conversation, exchange, properties, record, up, wait
from hypothesis import given
from hypothesis import strategies as st

from fake_upstream.audio import prefix
from fake_upstream.events import CLIENT_EVENTS, UPSTREAM_EVENTS, Event
from fake_upstream.pacing import burst
from fake_upstream.script import Chunk, Ending, Script
from harness.loops import LOOPS, Pairing
from harness.record import SCHEMA, Exchange, Goal, Outcome, Record, TraceError, Wait
from harness.report.terminal import failures
from harness.scenario import load_scenarios
from harness.verdict import judged

whole = st.integers(0, 2**62)
text = st.text(max_size=20)
pairs = st.lists(st.tuples(text, text), max_size=3).map(tuple)
events = st.builds(
    Event,
    at=whole,
    what=st.sampled_from([*UPSTREAM_EVENTS, *CLIENT_EVENTS]),
    connection=st.integers(0, 9),
    request=st.integers(0, 9),
    key=text,
    chunk=st.none() | st.integers(0, 9),
    size=st.none() | whole,
    until=st.none() | whole,
    planned=st.none() | whole,
    note=text,
    headers=pairs,
    body=text,
)
scripts = st.builds(
    Script,
    chunks=st.lists(
        st.builds(Chunk, size=st.integers(1, 3_000), gate=st.booleans(), after=st.floats(0, 9)), max_size=5
    ).map(tuple),
    status=st.integers(200, 599),
    framing=st.sampled_from(["chunked", "close-delimited", "http10"]),
    payload=st.sampled_from(["seeded", "wav", "pcm"]),
    seed=st.integers(0, 99),
    ending=st.builds(Ending, kind=st.sampled_from(["finish", "fin", "reset", "hang"]), gate=st.booleans()),
)


@st.composite
def exchanges(draw: st.DrawFn) -> Exchange:
    """What a proxy may hand on: the script's bytes, some of them, or anything else."""
    script = draw(scripts)
    true = prefix(script, draw(st.integers(0, script.total)))
    body = draw(st.sampled_from([true, true + b"!", true[:-1], b"x" + true[1:]]) | st.binary(max_size=200))
    return Exchange(
        draw(text),
        script,
        draw(st.lists(events, max_size=4).map(tuple)),
        draw(st.lists(events, max_size=4).map(tuple)),
        body,
        draw(st.none() | st.integers(100, 599)),
        draw(pairs),
    )


waits = st.builds(
    Wait,
    goal=st.sampled_from(get_args(Goal)),
    what=text,
    exchange=st.integers(0, 9),
    outcome=st.sampled_from(get_args(Outcome)),
    began=whole,
    ended=whole,
    trips=st.integers(0, 99),
)
loops = st.sampled_from(LOOPS)
records = st.builds(
    Record,
    target=text,
    scenario=text,
    variant=text,
    loops=st.builds(Pairing, upstream=loops, target=st.none() | loops, client=loops),
    exchanges=st.lists(exchanges(), max_size=3).map(tuple),
    waits=st.lists(waits, max_size=4).map(tuple),
    unsound=text,
    output=text,
    environment=st.dictionaries(text, text, max_size=3),
)


@given(records)
@properties
def test_any_record_survives_json(subject: Record) -> None:
    """As bytes in a file, not only as objects."""
    data = json.dumps(subject.to_json(), ensure_ascii=False).encode()
    assert Record.from_json(json.loads(data)) == subject


@pytest.mark.parametrize("size", [0, 1, 512, 1535, 1536])
def test_bytes_that_are_the_scripts_own_are_kept_as_their_number(size: int) -> None:
    """Traces of a healthy proxy stay small: the script can make the bytes again."""
    subject = conversation(LOCKSTEP, received=prefix(LOCKSTEP, size))
    assert subject.to_json()["received"] == {"first_bytes_of_script": size}


@pytest.mark.parametrize(
    "received",
    [
        pytest.param(b"Error: upstream failed", id="something else"),
        pytest.param(prefix(LOCKSTEP, 1536) + b"\0", id="one byte more"),
        pytest.param(prefix(LOCKSTEP, 700) + b"<html>", id="an error text in the audio"),
        pytest.param(prefix(LOCKSTEP, 1536)[1:], id="the first byte lost"),
        pytest.param(prefix(LOCKSTEP, 512) * 2, id="a chunk twice"),
        pytest.param(bytes(range(256)) * 4, id="every byte value"),
    ],
)
def test_bytes_that_differ_from_the_script_are_kept_exactly(received: bytes) -> None:
    """They are the evidence."""
    data = json.loads(json.dumps(conversation(LOCKSTEP, received=received).to_json()))
    assert Exchange.from_json(data).received == received


def test_an_exchange_counts_what_both_ends_noted() -> None:
    subject = exchange(
        LOCKSTEP,
        up(0, "asked", request=1),
        up(1, "asked", request=2),
        up(3, "emitted", request=2, chunk=0, size=512),
        up(7, "emitted", request=2, chunk=1, size=512),
        up(9, "write_failed", request=2),
        up(8, "peer_fin", request=2),
        at_client(4, "received", size=500),
        at_client(8, "received", size=12),
        at_client(9, "left", note="fin"),
        at_client(10, "ended"),
    )
    assert subject.attempts == 2
    assert [subject.emitted_bytes(ms * MS) for ms in (2, 3, 6, 7)] == [0, 512, 512, 1024]
    assert [subject.received_bytes(ms * MS) for ms in (3, 4, 7, 8)] == [0, 500, 500, 512]
    assert (subject.emitted_bytes(), subject.received_bytes()) == (1024, 512)
    assert subject.over == at_client(9, "left", note="fin")
    assert subject.let_go == up(9, "write_failed", request=2), "the first that the journal has"


def test_an_exchange_of_which_nothing_is_known() -> None:
    subject = exchange(LOCKSTEP, status=None)
    assert (subject.attempts, subject.over, subject.let_go) == (0, None, None)
    assert (subject.emitted_bytes(), subject.received_bytes(), subject.received) == (0, 0, b"")


def test_offered_is_the_whole_script_also_where_it_ends_in_a_cut() -> None:
    script = Script(burst(3, 100), ending=Ending(kind="reset"))
    assert exchange(script).offered == prefix(script, 300)
    assert len(exchange(script).offered) == 300


def test_missed_is_the_first_wait_for_such_a_thing_that_came_out_otherwise() -> None:
    waits = (wait("head"), wait("holds"), wait("holds", "ended", 5), wait("holds", "never", 6), wait("over", "never"))
    subject = record(conversation(), waits=waits)
    assert subject.missed("holds") == waits[2]
    assert subject.missed("over") == waits[4]
    assert subject.missed("head") is None
    assert subject.missed("saw") is None


def _trace() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(json.dumps(blocked_lockstep().to_json()))
    return data


@pytest.mark.parametrize("found", [None, 0, 2, "1", SCHEMA + 1])
def test_a_trace_of_another_schema_is_refused(found: object) -> None:
    data = {**_trace(), "schema": found}
    with pytest.raises(TraceError) as error:
        Record.from_json(data)
    assert str(error.value) == f"field 'schema' is {found!r}: this version reads traces of schema 1"


@pytest.mark.parametrize("data", [None, [], 5, "text", {}])
def test_what_is_no_trace_at_all_is_refused_as_one_without_a_schema(data: object) -> None:
    with pytest.raises(TraceError, match=r"^field 'schema' is None: "):
        Record.from_json(data)


@pytest.mark.parametrize("name", [name for name in blocked_lockstep().to_json() if name != "schema"])
def test_a_missing_field_is_named(name: str) -> None:
    data = _trace()
    del data[name]
    with pytest.raises(TraceError, match=rf"^field '{name}' is missing: "):
        Record.from_json(data)


@pytest.mark.parametrize("name", ["key", "script", "upstream", "client", "status", "headers", "received"])
def test_a_missing_field_of_an_exchange_is_named(name: str) -> None:
    data = _trace()
    del data["exchanges"][0][name]
    with pytest.raises(TraceError, match=rf"^field '{name}' is missing: "):
        Record.from_json(data)


def _damage(data: dict[str, Any], place: str, value: object) -> dict[str, Any]:
    *path, last = [int(word) if word.isdigit() else word for word in place.split(".")]
    inside: Any = data
    for word in path:
        inside = inside[word]
    inside[last] = value
    return data


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        ("waits.0.outcome", "perhaps", "field 'outcome' is 'perhaps': expected one of"),
        ("waits.0.surprise", 1, "surprise"),
        (
            "waits.0.goal",
            "glory",
            "field 'goal' is 'glory': expected one of ('head', 'holds', 'over', 'saw', 'passed')",
        ),
        ("waits.0.ended", "late", "field 'ended' is 'late': expected int"),
        ("waits", None, "field 'waits' is None: expected list"),
        ("waits.0", None, "Wait() argument after ** must be a mapping, not NoneType"),
        ("loops", "trio", "field 'loops' is 'trio': expected dict"),
        ("loops.client", "uvloop", "field 'client' is 'uvloop': expected one of ('asyncio', 'trio')"),
        ("target", 5, "field 'target' is 5: expected str"),
        ("environment", [], "field 'environment' is []: expected collections.abc.Mapping[str, str]"),
        ("exchanges", {}, "field 'exchanges' is {}: expected list"),
        ("exchanges.0.upstream", 5, "field 'upstream' is 5: expected list"),
        ("exchanges.0.upstream.0.at", None, "field 'at' is None: expected int"),
        ("exchanges.0.client.1.size", "many", "field 'size' is 'many': expected int | None"),
        ("exchanges.0.client.1.size", True, "field 'size' is True: expected int | None"),
        ("exchanges.0.status", "200", "field 'status' is '200': expected int | None"),
        ("exchanges.0.received", [], "field 'received' is []: expected dict"),
        ("exchanges.0.script", None, "script"),
        ("waits.0", {"goal": "holds"}, "what"),
        ("exchanges.0.script.framing", "smoke signals", "framing"),
        ("exchanges.0.script.chunks.0.size", -5, "chunks[0].size"),
        ("exchanges.0.script.surprise", 1, "surprise"),
        ("exchanges.0.upstream.0.surprise", 1, "surprise"),
        ("exchanges.0.client.0", {"at": 5}, "what"),
        ("exchanges.0.received", {"first_bytes": 5}, "first_bytes_of_script"),
        ("exchanges.0.received", {"zlib": "AAAA"}, "while decompressing"),
        ("exchanges.0.received", {"zlib": "A"}, "base64"),
        ("loops.proxy", "trio", "proxy"),
    ],
)
def test_a_damaged_field_is_named(place: str, value: object, says: str) -> None:
    with pytest.raises(TraceError) as error:
        Record.from_json(_damage(_trace(), place, value))
    message = str(error.value)
    assert message.startswith(says) if says.startswith("field") else says in message


def _places(data: Any, prefix: str = "") -> list[str]:
    """The path of everything in a JSON value."""
    inside = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    paths = [(f"{prefix}{name}", value) for name, value in inside]
    return [place for path, value in paths for place in (path, *_places(value, f"{path}."))]


@given(
    st.sampled_from(_places(_trace())),
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=5) | st.just([]) | st.just({}),
)
@properties
def test_whatever_is_written_into_a_trace_it_is_refused_or_can_be_judged_and_shown(place: str, value: object) -> None:
    """A person who was sent a damaged trace must learn that the trace is at fault; nothing else may break."""
    _judge_and_show(_damage(_trace(), place, value))


@given(st.sampled_from(_places(_trace())))
@properties
def test_whatever_is_cut_out_of_a_trace_it_is_refused_or_can_be_judged_and_shown(place: str) -> None:
    data = _trace()
    *path, last = [int(word) if word.isdigit() else word for word in place.split(".")]
    inside: Any = data
    for word in path:
        inside = inside[word]
    del inside[last]
    _judge_and_show(data)


def _judge_and_show(data: dict[str, Any]) -> None:
    with suppress(TraceError):
        subject = Record.from_json(data)
        for scenario in load_scenarios().values():
            outcome = judged(scenario.claim, scenario.kind, scenario.id, scenario.judge, subject)
            assert failures([outcome, replace(outcome, verdict="fail")])
            json.dumps(outcome.to_json())


def test_a_record_is_data_and_compares_as_such() -> None:
    assert record(conversation()) == record(conversation())
    assert record(conversation()) != replace(record(conversation()), variant="other")

"""For any way in which a proxy may cut, delay, hold, lose, double, reorder or rewrite a stream, the findings are right.

What must be found is worked out here from the way itself; what is found, by the scenario's own staging and judge.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from builders import found, passes, properties, script_of
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated import Damaging, Ending, Faithful, Holding, Rewriting, simulate

from fake_upstream.audio import prefix
from fake_upstream.pyav import CodecMissing
from fake_upstream.script import Script
from fake_upstream.sse import CONTENT_TYPE, Event, EventDecoder, audio_of, usage_of
from harness.evidence import count
from harness.scenario import load_scenarios

BEYOND = {
    "closure/abandoned_before_body": "a client that leaves",
    "closure/clean_unwinding": "a client that leaves",
    "closure/closes_at_end": "connections",
    "closure/deferred_stream": "a stream of the app's own",
    "fidelity/range_and_head": "an upstream that answers in parts",
    "fidelity/trailers": "trailers",
    "truncation/error_after_200": "the script's error, which is what it observes",
    "truncation/refused_upstream": "an upstream that refuses",
}
"""What a simulation has not."""
FAMILIES = ("closure", "delivery", "events", "fidelity", "truncation")
SIMULATED = [name for name in load_scenarios() if name.partition("/")[0] in FAMILIES and name not in BEYOND]
EVENTS = [
    (name, variant)
    for name in SIMULATED
    for variant, script in load_scenarios()[name].variants.items()
    if isinstance(script, Script) and script.content_type == CONTENT_TYPE
    if name not in ("events/comments", "events/last_event")
]
"""Those that a proxy keeps which writes events anew: comments are none, nor is an event that nothing ends."""
sizes = st.lists(st.integers(1, 70_000) | st.integers(1, 40), min_size=1, max_size=5)
delays = st.lists(st.integers(1, 10**11), min_size=1, max_size=6)
"""Nanoseconds from one thing that happens to the next, up to minutes and a half."""


@pytest.mark.parametrize("name", SIMULATED)
@settings(properties, max_examples=12)  # of each of fifty scenarios
@given(data=st.data(), cuts=sizes, pauses=delays)
def test_however_a_stream_is_cut_and_delayed_nothing_is_found(
    name: str, data: st.DataObject, cuts: list[int], pauses: list[int]
) -> None:
    variant = data.draw(st.sampled_from(list(load_scenarios()[name].variants)))
    least = max(1, getattr(load_scenarios()[name].variants[variant], "total", 0) // 500)  # or it takes for ever
    try:
        _, result = simulate(name, variant, lambda: Faithful(*(max(least, cut) for cut in cuts)), pauses)
    except CodecMissing as error:
        pytest.skip(str(error))
    assert passes(result), result.findings


# --- what is held back

ways_to_hold = st.one_of(
    st.builds(lambda q: lambda n: n // q * q, st.integers(1, 70_000) | st.sampled_from([256, 512, 4_096, 8_192])),
    st.builds(lambda lag: lambda n: max(0, n - lag), st.integers(0, 70_000) | st.integers(0, 3)),
    st.builds(lambda least: lambda n: n if n >= least else 0, st.integers(0, 400_000)),
    st.just(lambda n: 0),
)
Out = Callable[[int], int]


@pytest.mark.parametrize("name", ["delivery/lockstep", "delivery/not_regrouped"])
@properties
@given(data=st.data(), out=ways_to_hold, pauses=delays)
def test_the_first_chunk_that_is_held_back_is_named_and_how_much(
    name: str, data: st.DataObject, out: Out, pauses: list[int]
) -> None:
    variant = data.draw(st.sampled_from(list(load_scenarios()[name].variants)))
    script = script_of(name, variant)
    _, result = simulate(name, variant, lambda: Holding(out), pauses)
    # The last chunk's rest comes with the end, which waits for nobody.
    held = [(chunk, end) for chunk, end in enumerate(script.ends[:-1]) if out(end) < end]
    if not held:
        assert passes(result), result.findings
        return
    chunk, end = held[0]
    came = max(out(e) for e in script.ends[: chunk + 1])
    (finding,) = result.findings
    if name == "delivery/lockstep":
        assert (finding.kind, finding.expected) == ("blocked", f"{count(end)} at the client after chunk {chunk}")
    else:
        assert finding.kind == "quantised"
    head = f"{count(came)}; the proxy holds {end - came:,}; they came once the upstream had gone on"
    assert finding.actual.startswith(head), finding.actual


@properties
@given(data=st.data(), out=ways_to_hold)
def test_a_tail_is_held_back_or_it_is_not(data: st.DataObject, out: Out) -> None:
    variant = data.draw(st.sampled_from(list(load_scenarios()["delivery/tail"].variants)))
    total = script_of("delivery/tail", variant).total
    _, result = simulate("delivery/tail", variant, lambda: Holding(out))
    assert passes(result) == (out(total) >= total), result.findings


@pytest.mark.parametrize("name", ["fidelity/bytes", "closure/body_arrives", "fidelity/content_type"])
@properties
@given(data=st.data(), out=ways_to_hold)
def test_what_is_only_late_is_no_other_claims_business(name: str, data: st.DataObject, out: Out) -> None:
    variant = data.draw(st.sampled_from(list(load_scenarios()[name].variants)))
    _, result = simulate(name, variant, lambda: Holding(out))
    assert passes(result), result.findings


# --- what is damaged

Damage = Callable[[bytes], bytes]


def dropped(a: int, b: int) -> Damage:
    return lambda body: body[:a] + body[b:]


def doubled(a: int, b: int) -> Damage:
    return lambda body: body[:b] + body[a:b] + body[b:]


def reordered(a: int, b: int, c: int) -> Damage:
    return lambda body: body[:a] + body[b:c] + body[a:b] + body[c:]


def altered(a: int, bit: int) -> Damage:
    return lambda body: body[:a] + bytes(byte ^ bit for byte in body[a : a + 1]) + body[a + 1 :]


@st.composite
def damages(draw: st.DrawFn, most: int) -> Damage:
    """One to three things that go wrong with a body of at most so many bytes; sometimes they undo each other."""
    place = st.integers(0, most)
    steps: list[Damage] = []
    for _ in range(draw(st.integers(1, 3))):
        a, b, c = sorted((draw(place), draw(place), draw(place)))
        kind = draw(st.sampled_from(["drop", "double", "reorder", "alter"]))
        if kind == "drop":
            steps.append(dropped(a, b))
        elif kind == "double":
            steps.append(doubled(a, b))
        elif kind == "reorder":
            steps.append(reordered(a, b, c))
        else:
            steps.append(altered(a, draw(st.integers(0, 255))))

    def damage(body: bytes) -> bytes:
        for step in steps:
            body = step(body)
        return body

    return damage


@pytest.mark.parametrize("name", ["fidelity/bytes", "closure/body_arrives"])
@properties
@given(data=st.data(), cuts=sizes)
def test_what_is_lost_doubled_reordered_or_altered_is_found_and_where(
    name: str, data: st.DataObject, cuts: list[int]
) -> None:
    variant = data.draw(st.sampled_from(list(load_scenarios()[name].variants)))
    whole = prefix(script_of(name, variant), script_of(name, variant).total)
    damage = data.draw(damages(len(whole) + 10))
    came = damage(whole)
    least = max(1, len(whole) // 2_000)
    _, result = simulate(name, variant, lambda: Damaging(damage, *(max(least, cut) for cut in cuts)))
    assert passes(result) == (came == whole)
    if came != whole:
        ((_, actual),) = found(result)
        assert f"{count(len(came))})" in actual
        parts = next((i for i, (a, b) in enumerate(zip(came, whole, strict=False)) if a != b), None)
        if parts is not None:
            assert f"; byte {parts:,} is {came[parts : parts + 16]!r}, sent was " in actual
        elif len(came) > len(whole):
            assert f"; {count(len(came) - len(whole))} more than were sent: " in actual
        else:
            assert actual.endswith(f"{count(len(came))})")


@properties
@given(
    variant=st.sampled_from(list(load_scenarios()["truncation/cut_is_an_error"].variants)),
    how=st.sampled_from(["ended", "broke", ""]),
    last=st.just(b"") | st.binary(min_size=1, max_size=50),
)
def test_a_cut_is_surfaced_masked_or_silent_and_clean_or_polluted(variant: str, how: str, last: bytes) -> None:
    """Each claim about a cut finds what is its own, whatever else is wrong."""

    def kinds(name: str) -> list[str]:
        return [kind for kind, _ in found(simulate(name, variant, lambda: Ending(how, last))[1])]

    assert kinds("truncation/cut_is_an_error") == (["masked"] if how == "ended" else [])
    assert kinds("truncation/no_hang") == (["hang"] if how == "" else [])
    assert kinds("truncation/strict_prefix") == (["polluted"] if last else [])


# --- event streams


@st.composite
def styles(draw: st.DrawFn) -> Callable[[Event], bytes]:
    """How somebody else writes an event; its data, as JSON, is the same."""
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    indent = draw(st.sampled_from([None, 0, 1, 4]))
    space = draw(st.sampled_from(["", " "]))
    ascii_only = draw(st.booleans())
    before = draw(st.lists(st.sampled_from([": ping", ":", "id: 7", "event: speech", "retry: 10", "x-own: 1"])))

    def anew(event: Event) -> bytes:
        try:
            data = json.dumps(json.loads(event.data), indent=indent, ensure_ascii=ascii_only)
        except ValueError:
            data = event.data
        lines = [*before, *(f"data:{space}{line}" for line in data.split("\n")), "", ""]
        return end.join(lines).encode()

    return anew


def written_anew(style: Callable[[Event], bytes]) -> Damage:
    return lambda stream: b"".join(map(style, EventDecoder().feed(stream)))


@pytest.mark.parametrize(("name", "variant"), EVENTS)
@properties
@given(style=styles(), pauses=delays)
def test_however_events_are_written_anew_nothing_is_found(
    name: str, variant: str, style: Callable[[Event], bytes], pauses: list[int]
) -> None:
    _, result = simulate(name, variant, lambda: Rewriting(written_anew(style)), pauses)
    assert passes(result), result.findings


@pytest.mark.parametrize("name", ["events/honoured", "events/usage"])
@properties
@given(data=st.data(), style=styles(), cuts=sizes)
def test_events_that_are_lost_doubled_or_reordered_are_found_by_what_they_carried(
    name: str, data: st.DataObject, style: Callable[[Event], bytes], cuts: list[int]
) -> None:
    variant = next(iter(load_scenarios()[name].variants))
    whole = prefix(script_of(name, variant), script_of(name, variant).total)
    events = EventDecoder().feed(whole)
    places = data.draw(st.lists(st.integers(0, len(events) - 1), max_size=2 * len(events)) | st.permutations(
        range(len(events))
    ))  # fmt: skip
    stream = b"".join(style(events[place]) for place in places)
    _, result = simulate(name, variant, lambda: Damaging(lambda body: stream, *cuts))
    kept = audio_of(stream) == audio_of(whole) if name == "events/honoured" else usage_of(stream) == usage_of(whole)
    assert passes(result) == kept, result.findings


def test_the_ways_do_what_they_say() -> None:
    """Or the tests above would prove nothing."""
    assert b"".join(Faithful(3, 1, 5).take(b"0123456789")) == b"0123456789"
    assert [len(piece) for piece in Faithful(3, 1, 5).take(b"0123456789")] == [3, 1, 5, 1]
    way = Holding(lambda n: n // 4 * 4)
    assert [b"".join(way.take(piece)) for piece in (b"012", b"34", b"56789")] == [b"", b"0123", b"4567"]
    assert list(way.end(True)[0]) == [b"89"]
    assert reordered(1, 3, 4)(b"01234") == b"03124"

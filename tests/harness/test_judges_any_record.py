"""Whatever course a staging takes, and whatever is left of it, a judge says something or nothing: it never crashes.

A crash would make a result unsound that was a failure.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import get_args

import pytest
from builders import emissions, receptions, up, wait
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rehearsal import rehearse

from fake_upstream.audio import prefix
from fake_upstream.events import CLIENT_EVENTS, UPSTREAM_EVENTS, Event
from harness.record import Exchange, Outcome, Record
from harness.report.terminal import failures
from harness.scenario import Scenario, load_scenarios
from harness.verdict import judged

SCENARIOS = load_scenarios()
everyone = pytest.mark.parametrize("name", SCENARIOS)
outcomes = st.lists(st.sampled_from(get_args(Outcome)) | st.just("happened"), max_size=12)
texts = st.sampled_from(["", "x", "{}", "[1]", '{"error": {"message": 5}}', '{"input": "x"}', "\ufffd\0"])
events = st.builds(
    Event,
    at=st.integers(0, 300),
    what=st.sampled_from([*UPSTREAM_EVENTS, *CLIENT_EVENTS]),
    request=st.integers(0, 2),
    chunk=st.none() | st.integers(0, 4),
    size=st.none() | st.integers(0, 2_000),
    note=texts,
    body=texts,
)
SHOWN = 6
"""Chunks of a script that a made-up exchange plays at most: 200 MB are no test of a judge."""


@st.composite
def cut_short(draw: st.DrawFn) -> st.SearchStrategy[Exchange]:
    """How an exchange is filled: a faithful conversation, truncated at each end, thinned, with strangers in it."""
    seed = draw(st.randoms(use_true_random=False))
    keep_up, keep_client = draw(st.integers(0, 30)), draw(st.integers(0, 30))
    without = draw(st.sets(st.sampled_from([*UPSTREAM_EVENTS, *CLIENT_EVENTS]), max_size=4))
    ending = draw(st.sampled_from(["ended", "broke", "left", ""]))
    stranger = draw(st.none() | events)
    body = draw(st.sampled_from(["true", "short", "long", "false", "empty"]) | st.binary(max_size=20))
    status = draw(st.sampled_from([None, 200, 206, 400, 404, 502, "script"]))
    headers = draw(
        st.sampled_from([(), (("content-type", "text/html"),), (("retry-after", "x"), ("x-request-id", ""))])
    )

    def fill(blank: Exchange) -> Exchange:
        script = blank.script
        chunks = min(SHOWN, len(script.chunks))
        upstream = [*emissions(script, chunks=chunks), up(200, "finished")][:keep_up]
        client = [*receptions(script, chunks=chunks), *([Event(201_000_000, ending)] if ending else [])][:keep_client]
        if stranger:
            upstream.insert(seed.randrange(len(upstream) + 1), stranger)
            client.insert(seed.randrange(len(client) + 1), stranger)
        true = prefix(script, sum(chunk.size for chunk in script.chunks[:chunks]))
        bodies = {"true": true, "short": true[:-1], "long": true + b"!", "false": b"x" + true[1:], "empty": b""}
        return replace(
            blank,
            upstream=tuple(event for event in upstream if event.what not in without),
            client=(*blank.client, *(event for event in client if event.what not in without)),
            received=body if isinstance(body, bytes) else bodies[body],
            status=script.status if status == "script" else status,
            headers=headers,
        )

    return fill  # type: ignore[return-value]


def judge_and_show(scenario: Scenario, subject: Record) -> None:
    list(scenario.judge(subject))
    outcome = judged(scenario.claim, scenario.kind, scenario.id, scenario.judge, subject)
    json.dumps(outcome.to_json())
    failures([replace(outcome, verdict="fail")])


@everyone
@given(data=st.data())
@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_no_judge_crashes_on_any_course_of_its_staging(name: str, data: st.DataObject) -> None:
    scenario = SCENARIOS[name]
    variant = data.draw(st.sampled_from(list(scenario.variants)))
    blank = rehearse(scenario, variant, data.draw(outcomes))
    fillings = data.draw(st.lists(cut_short(), min_size=1, max_size=3))
    exchanges = tuple(fillings[-1 - i % len(fillings)](one) for i, one in enumerate(blank.exchanges))  # type: ignore[operator]
    lost = data.draw(st.sets(st.sampled_from([*blank.facts, ""])))
    facts = {name: value for name, value in blank.facts.items() if name not in lost}
    waits = blank.waits[: data.draw(st.integers(0, 12))] if data.draw(st.booleans()) else blank.waits
    judge_and_show(scenario, replace(blank, exchanges=exchanges, facts=facts, waits=waits))


@everyone
def test_no_judge_crashes_on_a_staging_in_which_nobody_ever_spoke(name: str) -> None:
    """Every exchange is empty, and every wait comes out in the same way."""
    scenario = SCENARIOS[name]
    for variant in scenario.variants:
        for outcome in get_args(Outcome):
            judge_and_show(scenario, rehearse(scenario, variant, [outcome] * 400))


@everyone
def test_no_judge_crashes_on_a_record_that_lost_its_waits(name: str) -> None:
    scenario = SCENARIOS[name]
    blank = rehearse(scenario, next(iter(scenario.variants)))
    for keep in range(min(4, len(blank.waits)) + 1):
        judge_and_show(scenario, replace(blank, waits=blank.waits[:keep], facts={}))


@everyone
def test_a_record_without_any_exchange_is_unsound_and_says_so(name: str) -> None:
    """The staging got nowhere: nothing to judge, and no stack of calls to read."""
    scenario = SCENARIOS[name]
    empty = Record("t", scenario.staging, "v", rehearse(scenario, next(iter(scenario.variants))).loops)
    outcome = judged(scenario.claim, scenario.kind, scenario.id, scenario.judge, empty)
    assert (outcome.verdict, outcome.reason) == ("unsound", "nothing was staged: the record holds no exchange")


def test_a_rehearsal_takes_the_course_that_it_is_told() -> None:
    """The helper itself: a buffering proxy's lockstep stops at its first chunk."""
    scenario = SCENARIOS["delivery/lockstep"]
    whole = rehearse(scenario, "chunked-512")
    assert [w.goal for w in whole.waits] == ["holds"] * 6 + ["over"]
    blocked = rehearse(scenario, "chunked-512", ["never", "ended"])
    assert [(w.goal, w.outcome) for w in blocked.waits] == [("holds", "never"), ("over", "ended")]
    assert blocked.exchanges[0].seen("released")[0].size == 5, "and then all gates are opened"
    assert "input" in json.loads(whole.exchanges[0].request)
    assert wait("over").happened

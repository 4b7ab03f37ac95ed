"""The judges of time, on records written by hand: one that passes, and one for each thing they find."""

from __future__ import annotations

import pytest
from builders import at_client, conversation, emissions, exchange, found, judge, passes, receptions, script_of, up, wait

both = pytest.mark.parametrize("scenario", ["time/silent_gap", "time/long_stream"])
WAITS = (wait("holds", staging=True), wait("saw", staging=True), wait("over"))


@both
def test_the_whole_body_passes(scenario: str) -> None:
    assert passes(judge(scenario, conversation(script_of(scenario)), waits=WAITS))


@both
@pytest.mark.parametrize("how", ["peer_fin", "peer_reset", "write_failed"])
def test_an_upstream_that_is_let_go_before_its_end_shows_a_time_limit(scenario: str, how: str) -> None:
    script = script_of(scenario)
    ending = (up(5_000, how), at_client(5_001, "broke", note="RemoteProtocolError"))
    subject = exchange(script, *emissions(script, chunks=1), *receptions(script, chunks=1), *ending)
    ((kind, actual),) = found(judge(scenario, subject, waits=WAITS))
    assert kind == "time_limit"
    assert "the proxy let the upstream go" in actual


@both
def test_a_time_limit_that_is_told_as_an_end_is_one_too(scenario: str) -> None:
    script = script_of(scenario)
    ending = (up(5_000, "peer_fin"), at_client(5_001, "ended"))
    subject = exchange(script, *emissions(script, chunks=1), *receptions(script, chunks=1), *ending)
    ((kind, actual),) = found(judge(scenario, subject, waits=WAITS))
    assert kind == "time_limit"
    assert actual.startswith("the response ended (status 200, ")


@both
def test_a_body_that_is_spoilt_otherwise_is_not_called_a_time_limit(scenario: str) -> None:
    script = script_of(scenario)
    subject = conversation(script, up(9_000, "finished"), at_client(9_001, "broke", note="ReadError"))
    ((kind, actual),) = found(judge(scenario, subject, waits=WAITS))
    assert kind == ""
    assert actual.startswith("the response broke")


@both
def test_who_let_go_after_the_end_did_so_rightly(scenario: str) -> None:
    script = script_of(scenario)
    subject = conversation(script, up(9_000, "finished"), up(9_001, "peer_fin"), at_client(9_002, "ended"))
    assert passes(judge(scenario, subject, waits=WAITS))

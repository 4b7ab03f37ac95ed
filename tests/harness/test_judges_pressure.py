"""The judges of pressure, on records written by hand: one that passes, and one for each thing they find."""

from __future__ import annotations

import pytest
from builders import at_client, conversation, emissions, exchange, found, judge, passes, script_of, up, wait

from fake_upstream.audio import prefix
from fake_upstream.pacing import burst
from fake_upstream.script import Script
from harness.record import Exchange

NEIGHBOUR = Script(burst(4, 900), content_type="audio/mpeg")
OVER = wait("over")


class TestSlowReader:
    SCENARIO = "pressure/slow_reader"
    SCRIPT = script_of("pressure/slow_reader")

    def taken(self, size: int) -> Exchange:
        events = [up(0, "asked"), up(1, "head_sent"), up(2, "emitted", chunk=0, size=size)]
        return exchange(self.SCRIPT, *events, at_client(3, "head_received"), received=b"")

    def test_a_proxy_that_comes_to_rest_passes_and_says_where(self) -> None:
        outcome = judge(self.SCENARIO, self.taken(5_437_500), waits=(OVER,), facts={"at_rest": True})
        assert passes(outcome)
        assert outcome.metrics == {"accepted_bytes": 5_437_500}

    def test_the_limit_itself_is_allowed(self) -> None:
        assert passes(judge(self.SCENARIO, self.taken(96_000_000), waits=(OVER,), facts={"at_rest": True}))

    @pytest.mark.parametrize("at_rest", [True, False])
    def test_more_than_that_is_too_much_whether_or_not_it_stopped(self, at_rest: bool) -> None:
        outcome = judge(self.SCENARIO, self.taken(96_062_500), waits=(OVER,), facts={"at_rest": at_rest})
        assert found(outcome) == [("stopped late", "the proxy took 96,062,500 bytes")]
        assert (
            outcome.findings[0].expected == "the proxy stops within 96,000,000 bytes of the 200,000,000 bytes on offer"
        )

    def test_a_proxy_that_takes_everything(self) -> None:
        outcome = judge(self.SCENARIO, self.taken(200_000_000), waits=(OVER,), facts={"at_rest": True})
        assert found(outcome) == [("drained all", "the proxy took all 200,000,000 bytes")]

    def test_where_a_neighbour_got_stuck_nothing_was_measured(self) -> None:
        """That is the neighbour's claim."""
        outcome = judge(self.SCENARIO, self.taken(70_000), waits=(wait("over", "wedged"),), facts={"at_rest": False})
        assert passes(outcome)
        assert outcome.metrics == {}

    def test_a_proxy_that_never_asked_is_told_as_its_answer(self) -> None:
        subject = exchange(self.SCRIPT, at_client(3, "head_received"), at_client(4, "ended"), status=404)
        ((_, actual),) = found(judge(self.SCENARIO, subject, waits=(wait("head"),)))
        assert actual == "the response ended (status 404, 0 bytes); the proxy never asked the upstream"


class TestStalledNeighbour:
    SCENARIO = "pressure/stalled_neighbour"
    STALLED = exchange(script_of("pressure/slow_reader"), up(0, "asked"), at_client(1, "head_received"))

    def test_neighbours_that_are_answered_pass(self) -> None:
        assert passes(judge(self.SCENARIO, self.STALLED, *[conversation(NEIGHBOUR)] * 10, waits=(OVER,) * 10))

    @pytest.mark.parametrize("outcome", ["never", "wedged"])
    def test_a_neighbour_that_gets_no_answer_is_blocked(self, outcome: str) -> None:
        stuck = exchange(NEIGHBOUR, up(20, "asked"), up(21, "head_sent"), up(22, "emitted", chunk=0, size=900))
        waits = (OVER, wait("over", outcome, ended=15_000, exchange=2))  # type: ignore[arg-type]
        ((kind, actual),) = found(judge(self.SCENARIO, self.STALLED, conversation(NEIGHBOUR), stuck, waits=waits))
        assert kind == "blocked"
        assert actual.startswith("0 bytes; the proxy holds 900 (headers withheld too)")
        assert actual.endswith("it is wedged") == (outcome == "wedged")

    def test_what_the_slow_reader_gets_is_not_judged(self) -> None:
        assert passes(judge(self.SCENARIO, exchange(Script()), conversation(NEIGHBOUR), waits=(OVER,)))


class TestNoCrosstalk:
    SCENARIO = "pressure/no_crosstalk"
    SCRIPTS = tuple(Script(burst(3, 3_000), content_type="audio/mpeg", seed=seed) for seed in range(1, 4))

    def test_each_with_its_own_bytes_passes(self) -> None:
        assert passes(judge(self.SCENARIO, *map(conversation, self.SCRIPTS), waits=(OVER,) * 3))

    def test_another_streams_bytes_are_found_and_their_owner_named(self) -> None:
        first, second, third = self.SCRIPTS
        mixed = prefix(first, 3_000) + prefix(third, 6_000)[3_000:] + prefix(first, 9_000)[6_000:]
        subjects = (
            conversation(first, received=mixed),
            conversation(second),
            conversation(third),
            conversation(first),
        )
        outcome = judge(self.SCENARIO, *subjects, waits=(OVER,) * 3, facts={"alone": 3})
        assert outcome.findings[0].expected == "3 streams, each with its own bytes"
        ((kind, actual),) = found(outcome)
        assert kind == "crosstalk"
        assert actual.startswith("1 stream with others; stream 1: byte 3,000 is b")
        assert actual.endswith(", which belongs to stream 3")

    def test_bytes_of_nobody_are_spoilt(self) -> None:
        first, second, _ = self.SCRIPTS
        subjects = (conversation(first, received=b"?" * 9_000), conversation(second), conversation(first))
        outcome = judge(self.SCENARIO, *subjects, facts={"alone": 2})
        ((kind, actual),) = found(outcome)
        assert kind == "spoilt"
        assert "belongs" not in actual

    def test_too_many_bytes_are_found(self) -> None:
        first, second, _ = self.SCRIPTS
        subject = conversation(first, received=prefix(first, 9_000) + prefix(second, 100))
        ((kind, actual),) = found(judge(self.SCENARIO, subject, conversation(second), waits=(OVER,)))
        assert kind == "crosstalk"
        assert "100 bytes more than were sent" in actual
        assert actual.endswith(", which belongs to stream 2")

    def test_too_few_are_another_claims_business(self) -> None:
        first, second, _ = self.SCRIPTS
        subject = conversation(first, received=prefix(first, 100))
        assert passes(judge(self.SCENARIO, subject, conversation(second), waits=(OVER,)))

    def test_a_proxy_that_spoils_a_stream_also_when_it_is_alone_mixes_nothing_up(self) -> None:
        first, second, _ = self.SCRIPTS
        subjects = (conversation(first, received=b"?" * 9_000), conversation(second))
        again = conversation(first, received=b"?" * 9_000)
        assert passes(judge(self.SCENARIO, *subjects, again, facts={"alone": 2}))


class TestAllOpen:
    SCENARIO = "pressure/all_open"
    SCRIPT = Script(burst(2, 512), content_type="audio/mpeg")

    def test_all_open_passes(self) -> None:
        assert passes(judge(self.SCENARIO, *[conversation(self.SCRIPT)] * 101, waits=(wait("saw"),) * 101))

    def test_one_that_waits_for_the_others_counts_them(self) -> None:
        open_now = exchange(self.SCRIPT, *emissions(self.SCRIPT, chunks=1))
        asked_later = exchange(self.SCRIPT, up(4_000, "asked"), status=None)
        waits = (*[wait("saw")] * 100, wait("saw", "never", ended=3_500, exchange=100))
        outcome = judge(self.SCENARIO, *[open_now] * 100, asked_later, waits=waits)
        assert outcome.findings[0].expected == "101 streams open before any finishes"
        ((kind, actual),) = found(outcome)
        assert kind == "capped"
        assert (
            actual == "100 streams open; one that waits: 0 bytes; the upstream has sent 0 bytes (headers withheld too)"
        )

    def test_one_that_was_refused_is_told_as_its_end(self) -> None:
        refused = exchange(self.SCRIPT, at_client(5, "head_received"), at_client(6, "ended"), status=503)
        waits = (wait("saw"), wait("saw", "never", ended=3_500, exchange=1))
        ((_, actual),) = found(judge(self.SCENARIO, conversation(self.SCRIPT), refused, waits=waits))
        assert actual == (
            "1 stream open; one that waits: the response ended (status 503, 0 bytes); "
            "the proxy never asked the upstream"
        )

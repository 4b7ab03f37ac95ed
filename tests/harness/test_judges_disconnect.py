"""The judges of disconnects, on records written by hand: one that passes, and one for each thing they find."""

from __future__ import annotations

import pytest
from builders import at_client, conversation, emissions, exchange, found, judge, passes, receptions, up, wait

from fake_upstream.audio import prefix
from fake_upstream.events import Event
from fake_upstream.pacing import burst, lockstep
from fake_upstream.script import Script
from harness.record import Exchange

SCRIPT = Script(lockstep(4, 512), content_type="audio/mpeg")
LEFT = at_client(20, "left", note="reset")
LET_GO = (wait("holds"), wait("saw"))
STAYED = (wait("holds"), wait("saw", "never"), wait("saw"))
STAYED_FOR_EVER = (wait("holds"), wait("saw", "never"), wait("saw", "never"))

watching = pytest.mark.parametrize(
    "scenario",
    [
        "disconnect/silent_upstream",
        "disconnect/after_headers",
        "disconnect/before_headers",
        "closure/abandoned_before_body",
    ],
)


def abandoned(*then: Event, sent: int = 1) -> Exchange:
    """The client held a chunk and left; `then` is what came of it."""
    return exchange(SCRIPT, *emissions(SCRIPT, chunks=sent), *receptions(SCRIPT, chunks=1), LEFT, *then)


def stayer(gone: float | None) -> Exchange:
    """A client that stayed to ms 8,000; its upstream was let go at `gone`, if not when it left at last."""
    left = at_client(8_000, "left", note="reset")
    return exchange(
        SCRIPT,
        *emissions(SCRIPT, chunks=1),
        *receptions(SCRIPT, chunks=1),
        left,
        up(8_001 if gone is None else gone, "peer_fin"),
    )


@watching
class TestLettingGo:
    """Four claims of one kind: when the client leaves, the upstream is let go, whatever phase it is in."""

    @pytest.mark.parametrize("how", ["peer_fin", "peer_reset", "write_failed"])
    def test_an_upstream_that_is_let_go_passes_and_says_how_soon(self, scenario: str, how: str) -> None:
        """FIN or RST: which of the two is the proxy's own affair."""
        outcome = judge(scenario, abandoned(up(23.5, how)), waits=LET_GO)
        assert passes(outcome)
        assert outcome.metrics == {"abort_propagation_latency_ms": 3.5}

    def test_a_proxy_that_stays_until_the_upstream_sends_more(self, scenario: str) -> None:
        events = (
            up(5_000, "released", request=0, size=3),
            up(5_001, "emitted", chunk=1, size=512),
            up(5_002, "peer_fin"),
        )
        assert found(judge(scenario, abandoned(*events), waits=STAYED)) == [
            ("deaf", "the proxy stayed until the upstream sent more, then left after 1,024 bytes")
        ]

    def test_a_proxy_that_stays_to_the_end(self, scenario: str) -> None:
        events = [up(5_000 + i, "emitted", chunk=i, size=512) for i in (1, 2, 3)]
        assert found(judge(scenario, abandoned(*events, up(5_009, "finished")), waits=STAYED)) == [
            ("deaf", "the proxy stayed, and then took all 2,048 bytes")
        ]

    def test_a_proxy_that_stays_and_takes_nothing(self, scenario: str) -> None:
        assert found(judge(scenario, abandoned(), waits=STAYED_FOR_EVER)) == [
            ("deaf", "the proxy stayed, and did not leave when the upstream sent more either")
        ]

    def test_a_proxy_that_took_everything_and_left_then_still_stayed(self, scenario: str) -> None:
        """It lets go after the end, as everybody does."""
        subject = abandoned(up(5_000, "finished"), up(5_001, "peer_fin"))
        assert "took all" in found(judge(scenario, subject, waits=STAYED))[0][1]

    def test_a_proxy_that_never_asked_is_told_as_its_answer(self, scenario: str) -> None:
        subject = exchange(SCRIPT, at_client(3, "ended"), status=404)
        ((_, actual),) = found(judge(scenario, subject, waits=(wait("holds", "ended"), wait("saw", "never"))))
        assert actual == "the response ended (status 404, 0 bytes); the proxy never asked the upstream"

    def test_a_proxy_that_left_before_its_client_propagated_nothing(self, scenario: str) -> None:
        """It let go, so the claim holds; but no latency was measured."""
        outcome = judge(scenario, abandoned(up(10, "peer_fin")), waits=LET_GO)
        assert passes(outcome)
        assert outcome.metrics == {}

    def test_a_client_that_could_not_leave_any_more_measures_nothing(self, scenario: str) -> None:
        subject = exchange(SCRIPT, *emissions(SCRIPT, chunks=1), at_client(5, "ended"), up(6, "peer_fin"), status=500)
        outcome = judge(scenario, subject, waits=(wait("holds", "ended"), wait("saw")))
        assert passes(outcome)
        assert outcome.metrics == {}

    @pytest.mark.parametrize("tries", [1, 3])
    def test_a_stayer_that_lost_its_upstream_first_each_time_shows_a_time_limit(
        self, scenario: str, tries: int
    ) -> None:
        pairs = [stayer(5_000), abandoned(up(5_900, "peer_fin"))] * tries
        outcome = judge(
            scenario,
            abandoned(up(5_000, "peer_fin")),
            *pairs,
            waits=LET_GO,
            facts={"stayers": [*range(1, len(pairs), 2)]},
        )
        ((kind, actual),) = found(outcome)
        assert kind == "time_limit"
        assert actual.startswith("the proxy left after its own time limit, not because the client left")

    def test_a_stayer_that_kept_its_upstream_acquits(self, scenario: str) -> None:
        """The proxy hears its clients leave, if late."""
        pairs = [stayer(None), abandoned(up(5_900, "peer_fin"))]
        outcome = judge(
            scenario,
            abandoned(up(5_000, "peer_fin")),
            *pairs,
            waits=LET_GO,
            facts={"stayers": [*range(1, len(pairs), 2)]},
        )
        assert passes(outcome)
        assert outcome.metrics == {"abort_propagation_latency_ms": 4_980}

    def test_a_time_limit_that_came_first_once_is_no_proof(self, scenario: str) -> None:
        """It hears its clients leave and has a time limit besides; only the order of all tries tells."""
        pairs = [stayer(5_000), abandoned(up(5_900, "peer_fin")), stayer(None), abandoned(up(4_000, "peer_fin"))]
        assert passes(
            judge(
                scenario,
                abandoned(up(4_900, "peer_fin")),
                *pairs,
                waits=LET_GO,
                facts={"stayers": [*range(1, len(pairs), 2)]},
            )
        )

    def test_a_stayer_that_the_proxy_never_asked_for_says_nothing(self, scenario: str) -> None:
        """As with one that takes a single stream at a time."""
        nobody = exchange(SCRIPT, at_client(9_000, "left", note="reset"))
        assert passes(judge(scenario, abandoned(up(5_000, "peer_fin")), nobody, waits=LET_GO, facts={"stayers": [1]}))

    def test_deaf_is_deaf_whatever_else_is_on_record(self, scenario: str) -> None:
        outcome = judge(scenario, abandoned(), stayer(5_000), waits=STAYED, facts={"stayers": [1]})
        assert [kind for kind, _ in found(outcome)] == ["deaf"]


class TestActiveUpstream:
    SCRIPT = Script(burst(3_200, 62_500), content_type="audio/mpeg")

    def taken(self, size: int, *then: Event) -> Exchange:
        events = [up(0, "asked"), up(1, "head_sent"), up(2, "emitted", chunk=0, size=size)]
        came = [at_client(3, "received", size=1_000_000), at_client(4, "left", note="reset")]
        return exchange(self.SCRIPT, *events, *came, *then, received=b"")

    def test_a_proxy_that_stops_passes_and_says_how_much_it_took(self) -> None:
        outcome = judge("disconnect/active_upstream", self.taken(9_000_000, up(5, "peer_reset")), waits=LET_GO)
        assert passes(outcome)
        assert outcome.metrics == {"taken_after_leaving_bytes": 8_000_000}

    def test_the_limit_itself_is_allowed(self) -> None:
        assert passes(judge("disconnect/active_upstream", self.taken(64_000_000, up(5, "peer_fin")), waits=LET_GO))

    def test_a_proxy_that_stops_late(self) -> None:
        outcome = judge("disconnect/active_upstream", self.taken(64_062_500, up(5, "peer_fin")), waits=LET_GO)
        assert (
            outcome.findings[0].expected == "the proxy stops within 64,000,000 bytes of the 200,000,000 bytes on offer"
        )
        assert found(outcome) == [("stopped late", "the proxy stopped after 64,062,500 bytes")]

    def test_a_proxy_that_takes_everything(self) -> None:
        outcome = judge("disconnect/active_upstream", self.taken(200_000_000, up(5, "finished")), waits=LET_GO)
        assert found(outcome) == [("drained all", "the proxy took all 200,000,000 bytes")]

    def test_a_proxy_that_keeps_the_stream_and_takes_nothing(self) -> None:
        waits = (wait("holds"), wait("saw", "never"))
        assert found(judge("disconnect/active_upstream", self.taken(3_000_000), waits=waits)) == [
            ("wedged", "the proxy keeps the stream open and takes nothing more (3,000,000 bytes so far)")
        ]

    def test_a_proxy_that_never_asked_is_not_said_to_keep_a_stream(self) -> None:
        subject = exchange(self.SCRIPT, at_client(3, "head_received"), at_client(4, "ended"), status=404)
        waits = (wait("holds", "ended"), wait("saw", "never"))
        ((_, actual),) = found(judge("disconnect/active_upstream", subject, waits=waits))
        assert actual == "the response ended (status 404, 0 bytes); the proxy never asked the upstream"


class TestNextRequestClean:
    NEXT = Script(burst(4, 900), content_type="audio/mpeg", seed=3)
    SCENARIO = "disconnect/next_request_clean"
    WAITS = (wait("holds"), wait("saw"), wait("over"), wait("over"), wait("over"))

    def test_exact_answers_afterwards_pass(self) -> None:
        nexts = [conversation(self.NEXT)] * 3
        assert passes(judge(self.SCENARIO, abandoned(up(21, "peer_fin")), *nexts, waits=self.WAITS))

    def test_late_bytes_of_the_broken_stream_are_found(self) -> None:
        dirty = conversation(self.NEXT, received=prefix(SCRIPT, 100) + prefix(self.NEXT, 3_500))
        good = conversation(self.NEXT)
        outcome = judge(self.SCENARIO, abandoned(), good, dirty, good, waits=self.WAITS)
        assert outcome.findings[0].expected == "request 2 afterwards: 3,600 bytes, exact"
        ((kind, actual),) = found(outcome)
        assert kind == "unclean"
        assert actual.startswith("the response ended (status 200, 3,600 bytes); byte 0 is b")

    def test_a_request_that_breaks_is_found_and_only_the_first_is_told(self) -> None:
        broken = exchange(self.NEXT, up(0, "asked"), at_client(5, "broke", note="ReadError: ECONNRESET"))
        assert found(judge(self.SCENARIO, abandoned(), broken, broken, broken, waits=self.WAITS)) == [
            ("unclean", "the response broke (status 200, 0 bytes): ReadError: ECONNRESET")
        ]

    def test_the_broken_stream_itself_is_not_judged(self) -> None:
        assert passes(judge(self.SCENARIO, exchange(SCRIPT), *[conversation(self.NEXT)] * 3, waits=self.WAITS))


class TestAfterLastByte:
    SCENARIO = "disconnect/after_last_byte"
    WHOLE = Script(burst(3, 700), content_type="audio/mpeg", seed=1)
    NEXT = Script(burst(4, 900), content_type="audio/mpeg", seed=2)
    WAITS = (wait("holds", staging=True), wait("over"), wait("saw"), wait("over"))

    def left(self, *more: Event) -> Exchange:
        return exchange(self.WHOLE, *emissions(self.WHOLE), *receptions(self.WHOLE), at_client(40, "left"), *more)

    @pytest.mark.parametrize("how", ["finished", "peer_fin", "peer_reset"])
    def test_one_request_and_exact_answers_afterwards_pass(self, how: str) -> None:
        nexts = [conversation(self.NEXT)] * 2
        assert passes(judge(self.SCENARIO, self.left(up(41, how)), *nexts, waits=self.WAITS))

    def test_asking_again_for_a_client_that_left_is_a_retry(self) -> None:
        subject = self.left(up(41, "peer_fin"), up(42, "asked", request=2))
        outcome = judge(self.SCENARIO, subject, *[conversation(self.NEXT)] * 2, waits=self.WAITS)
        assert found(outcome) == [("retry", "1 request")]

    def test_what_was_asked_before_it_left_is_no_retry(self) -> None:
        subject = self.left(up(5, "asked", request=2))
        assert passes(judge(self.SCENARIO, subject, conversation(self.NEXT), waits=self.WAITS))

    def test_a_next_answer_that_is_not_exact_is_unclean(self) -> None:
        dirty = conversation(self.NEXT, received=prefix(self.WHOLE, 700))
        outcome = judge(self.SCENARIO, self.left(), conversation(self.NEXT), dirty, waits=self.WAITS)
        assert outcome.findings[0].expected == "request 2 afterwards: 3,600 bytes, exact"
        ((kind, _),) = found(outcome)
        assert kind == "unclean"

    def test_a_client_that_could_not_leave_any_more_had_its_end(self) -> None:
        assert passes(judge(self.SCENARIO, conversation(self.WHOLE), conversation(self.NEXT), waits=self.WAITS))


class TestHalfClose:
    """Observed: whatever is found, the verdict is a pass."""

    SCENARIO = "disconnect/half_close"
    SCRIPT = Script(lockstep(3, 512), content_type="audio/mpeg")

    def test_the_whole_body_is_nothing_to_report(self) -> None:
        assert passes(judge(self.SCENARIO, conversation(self.SCRIPT), conversation(), waits=(wait("over"),)))

    def test_a_response_that_breaks_is_an_abort(self) -> None:
        subject = abandoned(up(21, "peer_fin"), at_client(22, "broke", note="RemoteProtocolError"))
        outcome = judge(self.SCENARIO, subject, conversation(), waits=(wait("over"),))
        assert outcome.verdict == "pass"
        assert [kind for kind, _ in found(outcome)] == ["aborts"]


class TestOthersStay:
    SCENARIO = "disconnect/others_stay"
    SCRIPT = Script(lockstep(3, 600), content_type="audio/mpeg")
    LEAVER = exchange(SCRIPT, *emissions(SCRIPT, chunks=1), *receptions(SCRIPT, chunks=1), LEFT)

    def stayer(self, *more: Event, chunks: int = 1) -> Exchange:
        begun = (*emissions(self.SCRIPT, chunks=chunks), *receptions(self.SCRIPT, chunks=chunks))
        return exchange(self.SCRIPT, *begun, *more)

    def test_others_that_are_whole_pass(self) -> None:
        whole = conversation(self.SCRIPT)
        assert passes(judge(self.SCENARIO, self.LEAVER, whole, whole, conversation()))

    @pytest.mark.parametrize("ending", [[at_client(21, "broke")], [at_client(21, "ended")], []])
    def test_others_that_get_no_further_were_taken_along(self, ending: list[Event]) -> None:
        """Whether they break, end as if that were all, or hang."""
        whole = conversation(self.SCRIPT)
        ((kind, actual),) = found(judge(self.SCENARIO, self.LEAVER, whole, self.stayer(*ending), conversation()))
        assert kind == "taken along"
        assert actual.startswith("1 of 2 streams not whole; the response ")

    def test_others_that_never_began_are_another_claims_business(self) -> None:
        empty = self.stayer(at_client(5, "ended"), chunks=0)
        assert passes(judge(self.SCENARIO, self.LEAVER, empty, empty, conversation()))

    def test_bytes_that_differ_are_another_claims_business(self) -> None:
        assert passes(judge(self.SCENARIO, self.LEAVER, *[conversation(self.SCRIPT, received=b"?" * 1_800)] * 2))

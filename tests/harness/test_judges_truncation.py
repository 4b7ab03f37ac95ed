"""The judges of truncation, on records written by hand: one that passes, and one for each thing they find."""

from __future__ import annotations

import json

import pytest
from builders import at_client, conversation, emissions, exchange, found, judge, passes, receptions, script_of, up, wait

from fake_upstream import sse
from fake_upstream.audio import prefix
from fake_upstream.events import Event
from fake_upstream.sse import Usage
from harness.record import Exchange
from harness.scenario import load_scenarios

CUT = "truncation/cut_is_an_error"
FAMILY = (CUT, "truncation/no_hang", "truncation/strict_prefix")
SCRIPT = script_of(CUT)
BROKE = at_client(41, "broke", note="RemoteProtocolError: peer closed connection")
ENDED = at_client(41, "ended")
STAGED = (wait("holds"), wait("over"))


def cut(*end: Event, received: bytes | None = None, status: int | None = 200) -> Exchange:
    """The client holds the prefix, the upstream dies, and `end` is what the client sees of it."""
    upstream = [*emissions(SCRIPT), up(40, "finished", note="fin")]
    return exchange(SCRIPT, *upstream, *receptions(SCRIPT), *end, received=received, status=status)


@pytest.mark.parametrize("scenario", FAMILY)
def test_a_cut_that_surfaces_passes_all_three(scenario: str) -> None:
    assert passes(judge(scenario, cut(BROKE), waits=STAGED))


@pytest.mark.parametrize("scenario", FAMILY)
def test_a_cut_before_any_head_that_becomes_a_5xx_passes_all_three(scenario: str) -> None:
    """A buffering proxy still had a status to say it with; its body is its own."""
    surfaced = cut(ENDED, received=b'{"error": "bad gateway"}', status=502)
    assert passes(judge(scenario, surfaced, waits=(wait("holds", "never"), wait("over"))))


@pytest.mark.parametrize("scenario", FAMILY)
def test_a_cut_that_breaks_a_response_without_a_head_passes_all_three(scenario: str) -> None:
    broken = exchange(SCRIPT, *emissions(SCRIPT), BROKE, status=None)
    assert passes(judge(scenario, broken, waits=(wait("holds", "ended"), wait("over"))))


def test_a_clean_end_masks_the_cut() -> None:
    outcome = judge(CUT, cut(ENDED), waits=STAGED)
    assert outcome.findings[0].expected == "the client sees an error"
    assert found(outcome) == [("masked", "the response ended (status 200, 3,000 bytes), as if that were all")]
    assert passes(judge("truncation/no_hang", cut(ENDED), waits=STAGED))
    assert passes(judge("truncation/strict_prefix", cut(ENDED), waits=STAGED))


def test_a_clean_end_of_an_empty_body_masks_it_too() -> None:
    subject = exchange(
        script_of(CUT, "after-head"), up(0, "asked"), up(1, "head_sent"), at_client(2, "head_received"), ENDED
    )
    outcome = judge(CUT, subject, waits=(wait("head"), wait("over")), variant="after-head")
    assert found(outcome) == [("masked", "the response ended (status 200, 0 bytes), as if that were all")]


@pytest.mark.parametrize("status", [200, 404, 499])
def test_only_a_5xx_says_that_something_broke(status: int) -> None:
    assert [kind for kind, _ in found(judge(CUT, cut(ENDED, status=status), waits=STAGED))] == ["masked"]


def test_a_hang_is_another_claims_business() -> None:
    hangs = (wait("holds"), wait("over", "never"))
    assert passes(judge(CUT, cut(), waits=hangs))
    assert passes(judge("truncation/strict_prefix", cut(), waits=hangs))
    outcome = judge("truncation/no_hang", cut(), waits=hangs)
    assert outcome.findings[0].expected == "the client's response is over"
    assert found(outcome) == [("hang", "the response is still open (status 200, 3,000 bytes)")]


def test_an_error_text_behind_the_audio_pollutes_it() -> None:
    body = prefix(SCRIPT, 3_000) + b"Error occurred while trying to proxy"
    outcome = judge("truncation/strict_prefix", cut(ENDED, received=body), waits=STAGED)
    assert outcome.findings[0].expected == "the first bytes of the 3,000 sent"
    assert found(outcome) == [
        ("polluted", "36 bytes more than were sent: b'Error occurred while trying to proxy'"),
    ]


def test_an_error_text_that_takes_the_place_of_audio_pollutes_it() -> None:
    body = prefix(SCRIPT, 2_000) + b"<html>502</html>"
    ((kind, actual),) = found(judge("truncation/strict_prefix", cut(BROKE, received=body), waits=STAGED))
    assert kind == "polluted"
    assert actual.startswith("byte 2,000 is b'<html>502</html>', sent was b")


@pytest.mark.parametrize("size", [0, 1, 2_999, 3_000])
def test_fewer_bytes_than_were_sent_are_a_prefix(size: int) -> None:
    assert passes(judge("truncation/strict_prefix", cut(BROKE, received=prefix(SCRIPT, size)), waits=STAGED))


class TestRefusedUpstream:
    SCENARIO = "truncation/refused_upstream"
    PLAIN = script_of(SCENARIO)

    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    def test_a_5xx_passes(self, status: int) -> None:
        subject = exchange(self.PLAIN, at_client(3, "ended"), status=status)
        assert passes(judge(self.SCENARIO, subject, waits=(wait("over"),)))

    def test_an_empty_200_is_called_so(self) -> None:
        subject = exchange(self.PLAIN, at_client(3, "ended"), status=200)
        assert found(judge(self.SCENARIO, subject, waits=(wait("over"),))) == [
            ("empty", "the response ended (status 200, 0 bytes); the proxy never asked the upstream")
        ]

    def test_another_status_is_none_either(self) -> None:
        subject = exchange(self.PLAIN, up(0, "asked"), at_client(3, "ended"), status=404)
        assert found(judge(self.SCENARIO, subject, waits=(wait("over"),))) == [
            ("", "the response ended (status 404, 0 bytes)")
        ]

    def test_a_connection_that_breaks_says_nothing_of_why(self) -> None:
        subject = exchange(self.PLAIN, at_client(3, "broke", note="ReadError: ECONNRESET"), status=None)
        ((_, actual),) = found(judge(self.SCENARIO, subject, waits=(wait("over"),)))
        assert actual.startswith("the response broke (no head, 0 bytes): ReadError: ECONNRESET")

    def test_silence_is_no_answer(self) -> None:
        outcome = judge(self.SCENARIO, exchange(self.PLAIN, status=None), waits=(wait("over", "never"),))
        assert "still open" in found(outcome)[0][1]


class TestStatusKept:
    SCENARIO = "truncation/status_kept"
    SCRIPT = script_of(SCENARIO, "429")
    RETRY = (("retry-after", "7"),)

    def answered(
        self, body: bytes | None = None, status: int = 429, headers: tuple[tuple[str, str], ...] = RETRY
    ) -> Exchange:
        return conversation(self.SCRIPT, received=body, status=status, headers=headers)

    @pytest.mark.parametrize("variant", load_scenarios()[SCENARIO].variants)
    def test_the_upstreams_own_answer_passes(self, variant: str) -> None:
        script = script_of(self.SCENARIO, variant)
        subject = conversation(script, status=script.status, headers=self.RETRY)
        assert passes(judge(self.SCENARIO, subject, variant=variant))

    def test_an_error_document_of_the_gateways_own_may_quote_it(self) -> None:
        body = json.dumps({"error": {"message": "openai: scripted 429 (rate limit)", "type": "upstream"}}).encode()
        assert passes(judge(self.SCENARIO, self.answered(body)))

    @pytest.mark.parametrize("status", [200, 500, 502])
    def test_another_status_is_the_one_finding(self, status: int) -> None:
        """A 429 that becomes an empty 200: half a fix of a deferred stream."""
        outcome = judge(self.SCENARIO, self.answered(b"", status, ()))
        assert outcome.findings[0].expected == "status 429"
        assert [kind for kind, _ in found(outcome)] == ["status"]

    @pytest.mark.parametrize(
        "body", [b"", b"slow down", b"[]", b'{"error": "x"}', b'{"error": {"message": 5}}', b"\xff"]
    )
    def test_a_document_that_does_not_say_it_is_found(self, body: bytes) -> None:
        assert [kind for kind, _ in found(judge(self.SCENARIO, self.answered(body)))] == ["document"]

    @pytest.mark.parametrize("headers", [(), (("retry-after", "8"),), (("x-retry-after", "7"),)])
    def test_a_retry_after_that_is_lost_is_found(self, headers: tuple[tuple[str, str], ...]) -> None:
        assert [kind for kind, _ in found(judge(self.SCENARIO, self.answered(headers=headers)))] == ["retry-after"]

    def test_both_are_told(self) -> None:
        assert [kind for kind, _ in found(judge(self.SCENARIO, self.answered(b"", headers=())))] == [
            "document",
            "retry-after",
        ]


class TestNoFalseDone:
    SCENARIO = "truncation/no_false_done"
    SCRIPT = script_of(SCENARIO)
    WAITS = (wait("holds", staging=True), wait("over"))

    def cut(self, more: bytes = b"", *end: Event) -> Exchange:
        body = prefix(self.SCRIPT, self.SCRIPT.total) + more
        return exchange(
            self.SCRIPT, *emissions(self.SCRIPT), *receptions(self.SCRIPT), *(end or (BROKE,)), received=body
        )

    @pytest.mark.parametrize("variant", load_scenarios()[SCENARIO].variants)
    def test_what_was_sent_says_nothing_of_the_kind(self, variant: str) -> None:
        script = script_of(self.SCENARIO, variant)
        subject = exchange(script, *emissions(script), *receptions(script), BROKE)
        assert passes(judge(self.SCENARIO, subject, waits=self.WAITS, variant=variant))

    def test_a_clean_end_and_an_error_event_are_other_claims_business(self) -> None:
        assert passes(judge(self.SCENARIO, self.cut(b"", ENDED), waits=self.WAITS))
        error = sse.error({"error": {"message": "the upstream failed"}})
        assert passes(judge(self.SCENARIO, self.cut(error), waits=self.WAITS))

    @pytest.mark.parametrize(
        "invented", [sse.done(Usage(0, 0, 0)), sse.data_event({"type": sse.DONE}), b"data: [DONE]\n\n"]
    )
    @pytest.mark.parametrize("end", [BROKE, ENDED], ids=["broke", "ended"])
    def test_an_invented_end_is_found_however_the_response_ends(self, invented: bytes, end: Event) -> None:
        outcome = judge(self.SCENARIO, self.cut(invented, end), waits=self.WAITS)
        ((kind, actual),) = found(outcome)
        assert kind == "false done"
        assert actual.startswith(f"one that does; the response {end.what}")


class TestErrorAfter200:
    SCENARIO = "truncation/error_after_200"
    DOCUMENT, EVENT = script_of(SCENARIO, "document"), script_of(SCENARIO, "event")

    def test_it_fails_nobody(self) -> None:
        outcome = judge(self.SCENARIO, conversation(self.DOCUMENT), variant="document")
        assert (outcome.verdict, [kind for kind, _ in found(outcome)]) == ("pass", ["unseen"])

    @pytest.mark.parametrize(
        ("status", "headers"), [(502, ()), (200, (("content-type", "application/json; charset=utf-8"),))]
    )
    def test_a_proxy_that_looked_says_so(self, status: int, headers: tuple[tuple[str, str], ...]) -> None:
        subject = conversation(self.DOCUMENT, status=status, headers=headers)
        assert passes(judge(self.SCENARIO, subject, variant="document"))

    def test_an_error_event_that_is_kept_passes(self) -> None:
        assert passes(judge(self.SCENARIO, conversation(self.EVENT), variant="event"))

    def test_an_error_event_that_is_left_out_is_lost(self) -> None:
        received = prefix(self.EVENT, self.EVENT.ends[1])
        outcome = judge(self.SCENARIO, conversation(self.EVENT, received=received), variant="event")
        assert [kind for kind, _ in found(outcome)] == ["lost"]

    def test_a_response_that_breaks_has_said_it(self) -> None:
        subject = conversation(self.EVENT, at_client(9, "broke", note="ReadError: ECONNRESET"), received=b"")
        assert passes(judge(self.SCENARIO, subject, variant="event"))

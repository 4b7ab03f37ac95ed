"""The judges of closure, on records written by hand: one that passes, and one for each thing they find."""

from __future__ import annotations

import pytest
from builders import at_client, conversation, emissions, exchange, found, judge, passes, receptions, script_of, up, wait

from fake_upstream.audio import prefix
from fake_upstream.pacing import lockstep
from fake_upstream.script import Script
from harness.record import Exchange
from harness.scenario import load_scenarios

ENDED = (wait("over"),)


class TestBodyArrives:
    SCRIPT = script_of("closure/body_arrives")

    @pytest.mark.parametrize("variant", load_scenarios()["closure/body_arrives"].variants)
    def test_the_whole_body_passes(self, variant: str) -> None:
        subject = conversation(script_of("closure/body_arrives", variant))
        assert passes(judge("closure/body_arrives", subject, waits=ENDED, variant=variant))

    def test_an_empty_200_is_an_empty_200(self) -> None:
        """The stream was tied to a context that had closed: the defect that this project began with."""
        subject = exchange(self.SCRIPT, up(0, "asked"), at_client(2, "head_received"), at_client(3, "ended"))
        outcome = judge("closure/body_arrives", subject, waits=ENDED)
        assert outcome.findings[0].expected == "status 200 and 8,192 bytes"
        assert outcome.findings[0].hint == "was the upstream's context closed before the body was iterated?"
        assert found(outcome) == [("empty", "the response ended (status 200, 0 bytes)")]

    def test_half_a_body_is_not_called_empty(self) -> None:
        subject = exchange(
            self.SCRIPT, *emissions(self.SCRIPT), *receptions(self.SCRIPT, chunks=8), at_client(99, "ended")
        )
        outcome = judge("closure/body_arrives", subject, waits=ENDED)
        assert found(outcome) == [("", "the response ended (status 200, 4,096 bytes)")]
        assert outcome.findings[0].hint == ""

    def test_a_whole_body_that_breaks_instead_of_ending_fails(self) -> None:
        subject = conversation(self.SCRIPT, at_client(999, "broke", note="RemoteProtocolError"))
        assert found(judge("closure/body_arrives", subject, waits=ENDED)) == [
            ("", "the response broke (status 200, 8,192 bytes): RemoteProtocolError")
        ]

    def test_another_byte_is_named(self) -> None:
        subject = conversation(self.SCRIPT, received=b"\0" + prefix(self.SCRIPT, 8_192)[1:])
        ((_, actual),) = found(judge("closure/body_arrives", subject, waits=ENDED))
        assert "; byte 0 is b" in actual

    def test_another_status_fails_whatever_the_body(self) -> None:
        assert found(judge("closure/body_arrives", conversation(self.SCRIPT, status=206), waits=ENDED)) == [
            ("", "the response ended (status 206, 8,192 bytes)")
        ]

    def test_a_response_that_never_ends_fails(self) -> None:
        subject = exchange(self.SCRIPT, *emissions(self.SCRIPT), *receptions(self.SCRIPT))
        outcome = judge("closure/body_arrives", subject, waits=(wait("over", "never"),))
        assert found(outcome) == [("", "the response is still open (status 200, 8,192 bytes)")]

    def test_a_body_that_should_be_empty_and_is_not_fails(self) -> None:
        subject = exchange(Script(), at_client(1, "head_received"), at_client(2, "ended"), received=b"null")
        ((kind, actual),) = found(judge("closure/body_arrives", subject, waits=ENDED, variant="empty"))
        assert kind == ""
        assert actual.endswith("; 4 bytes more than were sent: b'null'")


class TestSlotsReturn:
    SCRIPT = Script(lockstep(2, 512), content_type="audio/mpeg")

    def aborted(self) -> Exchange:
        return exchange(
            self.SCRIPT,
            *emissions(self.SCRIPT, chunks=1),
            *receptions(self.SCRIPT, chunks=1),
            at_client(3, "left", note="reset"),
            up(4, "peer_fin"),
        )

    def test_an_answer_after_all_aborts_passes(self) -> None:
        exchanges = [*(self.aborted() for _ in range(128)), conversation(self.SCRIPT)]
        assert passes(judge("closure/slots_return", *exchanges, waits=(*[wait("holds")] * 128, wait("over"))))

    def test_a_request_that_does_not_get_through_any_more_counts_those_before_it(self) -> None:
        stuck = exchange(self.SCRIPT, status=None)
        waits = (*[wait("holds")] * 100, wait("holds", "never"), wait("saw", "never", ended=100))
        outcome = judge("closure/slots_return", *(self.aborted() for _ in range(100)), stuck, waits=waits)
        assert outcome.findings[0].expected == "an answer after 100 aborted streams, as before them"
        assert found(outcome) == [("exhausted", "0 bytes; the proxy never asked the upstream")]

    def test_a_last_request_that_fails_at_once_is_told_as_its_end(self) -> None:
        refused = exchange(
            self.SCRIPT, at_client(5, "head_received"), at_client(6, "ended"), status=503, received=b"full"
        )
        waits = (*[wait("holds")] * 3, wait("over", ended=6))
        assert found(judge("closure/slots_return", *(self.aborted() for _ in range(3)), refused, waits=waits)) == [
            ("exhausted", "the response ended (status 503, 4 bytes); the proxy never asked the upstream")
        ]

    def test_a_last_request_that_hangs_fails(self) -> None:
        stuck = exchange(self.SCRIPT, up(0, "asked"), status=None)
        waits = (wait("holds"), wait("over", "never", ended=100))
        ((kind, _),) = found(judge("closure/slots_return", self.aborted(), stuck, waits=waits))
        assert kind == "exhausted"

    def test_aborts_that_were_not_staged_do_not_count_against_it(self) -> None:
        """A proxy that buffers never lets the client hold a chunk; its slots may come back all the same."""
        waits = (wait("holds", "never", staging=True), wait("saw"), wait("saw"), wait("over"))
        outcome = judge("closure/slots_return", self.aborted(), self.aborted(), conversation(self.SCRIPT), waits=waits)
        assert passes(outcome)
        assert outcome.staged is False


class TestClosesAtEnd:
    SCRIPT = script_of("closure/closes_at_end")

    @pytest.mark.parametrize("counts", [[1] * 20, [*range(1, 11), *[10] * 10], [15, 5], []])
    def test_what_is_open_at_the_end_fits_into_a_pool(self, counts: list[int]) -> None:
        outcome = judge("closure/closes_at_end", conversation(self.SCRIPT), facts={"open_connections": counts})
        assert passes(outcome)

    def test_a_connection_more_each_time_is_a_leak(self) -> None:
        outcome = judge(
            "closure/closes_at_end", conversation(self.SCRIPT), facts={"open_connections": list(range(1, 21))}
        )
        ((kind, actual),) = found(outcome)
        assert kind == "leak"
        assert actual == f"20 connections open: {', '.join(map(str, range(1, 21)))}"

    def test_eleven_are_too_many(self) -> None:
        assert not passes(judge("closure/closes_at_end", conversation(self.SCRIPT), facts={"open_connections": [11]}))

    @pytest.mark.parametrize(("pool", "last", "fits"), [(30, 30, True), (30, 31, False), (3, 3, True), (3, 4, False)])
    def test_a_pool_that_is_declared_is_the_bound(self, pool: int, last: int, fits: bool) -> None:
        facts = {"open_connections": [1, last], "declared_pool": pool}
        assert passes(judge("closure/closes_at_end", conversation(self.SCRIPT), facts=facts)) is fits

    def test_without_a_count_there_is_no_finding(self) -> None:
        assert passes(judge("closure/closes_at_end", conversation(self.SCRIPT)))


class TestOneRequest:
    SCRIPT = script_of("closure/one_request")

    def test_one_for_one_passes(self) -> None:
        assert passes(judge("closure/one_request", conversation(self.SCRIPT), waits=ENDED))

    def test_two_are_several(self) -> None:
        subject = exchange(self.SCRIPT, up(0, "asked"), up(1, "asked", request=2), at_client(9, "ended"))
        assert found(judge("closure/one_request", subject, waits=ENDED)) == [
            ("several", "2 requests; the response ended (status 200, 0 bytes); the proxy asked the upstream 2 times")
        ]

    def test_a_proxy_that_answers_by_itself_made_none(self) -> None:
        subject = exchange(self.SCRIPT, at_client(9, "ended"), status=404)
        assert found(judge("closure/one_request", subject, waits=ENDED)) == [
            ("none", "0 requests; the response ended (status 404, 0 bytes); the proxy never asked the upstream")
        ]


class TestRefusedLocally:
    SCRIPT = Script(lockstep(2, 500), content_type="audio/mpeg")
    BY_UPSTREAM = (("x-request-id", "req_00000001"),)

    def refused(self, asked: bool, status: int | None, headers: tuple[tuple[str, str], ...] = ()) -> Exchange:
        events = [up(0, "asked")] if asked else []
        return exchange(self.SCRIPT, *events, at_client(2, "ended"), status=status, headers=headers)

    def test_a_refusal_without_a_question_passes(self) -> None:
        assert passes(judge("closure/refused_locally", self.refused(False, 400), waits=ENDED))

    def test_the_upstreams_own_refusal_passes(self) -> None:
        """A transparent proxy rightly hands the request on."""
        assert passes(judge("closure/refused_locally", self.refused(True, 400, self.BY_UPSTREAM), waits=ENDED))

    @pytest.mark.parametrize("status", [None, 200, 500, 502])
    def test_what_was_not_refused_is_not_judged(self, status: int | None) -> None:
        assert passes(judge("closure/refused_locally", self.refused(True, status), waits=ENDED))

    @pytest.mark.parametrize("status", [400, 422, 499])
    def test_a_refusal_of_its_own_after_asking_is_eager(self, status: int) -> None:
        assert found(judge("closure/refused_locally", self.refused(True, status), waits=ENDED)) == [
            ("eager", f"the response ended (status {status}, 0 bytes), and the upstream had been asked")
        ]


class TestCleanUnwinding:
    SCENARIO = "closure/clean_unwinding"
    SCRIPT = Script(lockstep(2, 512), content_type="audio/mpeg")
    SUBJECTS = (*[exchange(SCRIPT, at_client(3, "left"))] * 50, conversation(SCRIPT))

    @pytest.mark.parametrize("facts", [{}, {"complaints": []}, {"most": 20, "open_connections": 20}])
    def test_nothing_left_and_nothing_said_passes(self, facts: dict[str, object]) -> None:
        """Without a process of ours there is no output to read, and the sockets decide."""
        given = {"open_connections": 1, "most": 10, **facts}
        assert passes(judge(self.SCENARIO, *self.SUBJECTS, facts=given))

    def test_sockets_that_stay_open_are_a_leak(self) -> None:
        outcome = judge(self.SCENARIO, *self.SUBJECTS, facts={"open_connections": 51, "most": 10})
        assert outcome.findings[0].expected == "at most 10 connections open after 50 aborts, one after another"
        assert found(outcome) == [("leak", "51 open")]

    def test_complaints_are_noise_and_the_first_is_shown(self) -> None:
        said = ["Task exception was never retrieved", "RuntimeError: generator didn't stop after athrow()"]
        outcome = judge(self.SCENARIO, *self.SUBJECTS, facts={"open_connections": 1, "complaints": said})
        assert found(outcome) == [("noise", "2 lines, the first: Task exception was never retrieved")]

    def test_both_are_told(self) -> None:
        facts = {"open_connections": 11, "complaints": ["Unclosed connection"]}
        assert [kind for kind, _ in found(judge(self.SCENARIO, *self.SUBJECTS, facts=facts))] == ["leak", "noise"]

    @pytest.mark.parametrize(
        ("line", "complaint"),
        [
            ("RuntimeError: Attempted to exit cancel scope in a different task than it was entered in", True),
            ("RuntimeError: Cancel scope stack corrupted: attempted to exit <trio.CancelScope> in <Task 'x'>", True),
            ("RuntimeError: athrow(): asynchronous generator is already running", True),
            ("future: <Task finished coro=<pull()>>: Task exception was never retrieved", True),
            ("RuntimeWarning: coroutine 'aclose' was never awaited", True),
            ("Unclosed client session", True),
            ("asyncio.exceptions.CancelledError: Cancelled via cancel scope 7f00", False),
            ("    await self.gen.athrow(value)", False),
            ("WARNING: the client has left", False),
        ],
    )
    def test_what_counts_as_a_complaint(self, line: str, complaint: bool) -> None:
        """The log of a cancellation is none, however long its traceback."""
        play = load_scenarios()[self.SCENARIO].play
        assert play.__globals__["complains"](line) is complaint  # type: ignore[attr-defined]

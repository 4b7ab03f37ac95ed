"""The judges of reuse, on records written by hand: one that passes, and one for each thing they find."""

from __future__ import annotations

import pytest
from builders import at_client, conversation, emissions, exchange, found, judge, passes, receptions, script_of, up, wait

from fake_upstream.audio import prefix
from fake_upstream.pacing import burst, lockstep
from fake_upstream.script import Script
from harness.record import Exchange

ABORTED = Script(lockstep(4, 700), content_type="audio/mpeg", seed=1)
NEXT = Script(burst(4, 900), content_type="audio/mpeg", seed=2)
OVER = (wait("over"),) * 3


def aborted() -> Exchange:
    return exchange(
        ABORTED, *emissions(ABORTED, chunks=1), *receptions(ABORTED, chunks=1), at_client(20, "left", note="reset")
    )


class TestAfterAbort:
    SCENARIO = "reuse/after_abort"

    def test_exact_answers_afterwards_pass(self) -> None:
        assert passes(judge(self.SCENARIO, aborted(), *[conversation(NEXT)] * 3, waits=OVER))

    def test_late_bytes_in_another_answer_are_found(self) -> None:
        late = prefix(ABORTED, 1_400)[700:]
        dirty = conversation(NEXT, received=late + prefix(NEXT, 2_900))
        outcome = judge(self.SCENARIO, aborted(), dirty, conversation(NEXT), waits=OVER)
        assert outcome.findings[0].expected == "request 1 afterwards: 3,600 bytes, exact"
        ((kind, actual),) = found(outcome)
        assert kind == "late_bytes"
        assert f"; byte 0 is {late[:16]!r}" in actual

    def test_an_answer_that_never_comes_is_found(self) -> None:
        """The connection is still busy with the old stream."""
        outcome = judge(self.SCENARIO, aborted(), exchange(NEXT, status=None), waits=(wait("over", "never"),))
        assert found(outcome) == [
            ("late_bytes", "the response is still open (no head, 0 bytes); the proxy never asked the upstream")
        ]

    def test_the_aborted_stream_itself_is_not_judged(self) -> None:
        assert passes(judge(self.SCENARIO, exchange(ABORTED), conversation(NEXT), waits=OVER))


class TestIdleClose:
    SCENARIO = "reuse/idle_close"
    WHOLE = Script(burst(3, 700), content_type="audio/mpeg", seed=1)

    def test_two_exact_answers_pass(self) -> None:
        assert passes(judge(self.SCENARIO, conversation(self.WHOLE), conversation(NEXT), waits=OVER))

    def test_asking_again_is_allowed(self) -> None:
        """Nothing of the answer had come; the connection was closed before the request was read."""
        again = conversation(NEXT, up(40, "asked", request=2), up(43, "finished"), at_client(44, "ended"))
        assert again.attempts == 2
        assert passes(judge(self.SCENARIO, conversation(self.WHOLE), again, waits=OVER))

    def test_a_stale_connection_is_found(self) -> None:
        stale = exchange(NEXT, at_client(9, "head_received"), at_client(9, "ended"), status=502, received=b"bad")
        outcome = judge(self.SCENARIO, conversation(self.WHOLE), stale, waits=OVER)
        assert outcome.findings[0].expected.startswith("request 2, after idle connections were closed: 3,600 bytes")
        ((kind, actual),) = found(outcome)
        assert kind == "stale"
        assert actual.startswith("the response ended (status 502, 3 bytes); the proxy never asked the upstream")

    def test_one_that_was_there_before_counts_too(self) -> None:
        """What was in the pool was closed first."""
        broken = exchange(self.WHOLE, at_client(9, "broke", note="ReadError"), status=None)
        outcome = judge(self.SCENARIO, broken, conversation(NEXT), waits=OVER)
        assert outcome.findings[0].expected.startswith("request 1, after idle")


class TestNoRetryAfterFirstByte:
    SCENARIO = "reuse/no_retry_after_first_byte"
    CUT = script_of("truncation/cut_is_an_error")

    def cut(self, *more: object, chunks: int | None = None) -> Exchange:
        begun = (*emissions(self.CUT, chunks=chunks), *receptions(self.CUT, chunks=chunks))
        return exchange(self.CUT, *begun, up(50, "finished", note="fin"), *more)  # type: ignore[arg-type]

    def test_a_cut_that_is_an_error_passes(self) -> None:
        assert passes(judge(self.SCENARIO, self.cut(at_client(51, "broke", note="ReadError")), waits=OVER))

    @pytest.mark.parametrize("times", [1, 3])
    def test_asking_again_after_the_cut_is_a_retry(self, times: int) -> None:
        again = [up(60 + i, "asked", request=2 + i) for i in range(times)]
        outcome = judge(self.SCENARIO, self.cut(*again, at_client(99, "broke", note="ReadError")), waits=OVER)
        ((kind, actual),) = found(outcome)
        assert kind == "retried"
        assert actual.startswith(f"{times} more; the response broke (status 200, 3,000 bytes): ReadError")

    def test_what_was_asked_before_the_cut_is_no_retry(self) -> None:
        """That is one request too many, and another claim's."""
        subject = self.cut(up(5, "asked", request=2), at_client(99, "broke", note="ReadError"))
        assert passes(judge(self.SCENARIO, subject, waits=OVER))

    def test_before_the_first_byte_a_retry_is_right(self) -> None:
        subject = self.cut(up(60, "asked", request=2), at_client(99, "ended"), chunks=0)
        assert passes(judge(self.SCENARIO, subject, waits=OVER, variant="after-head"))

    def test_an_upstream_that_was_not_cut_is_not_judged(self) -> None:
        subject = exchange(self.CUT, *emissions(self.CUT), up(60, "asked", request=2), at_client(99, "ended"))
        assert passes(judge(self.SCENARIO, subject, waits=OVER))

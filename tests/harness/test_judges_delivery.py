"""The judges of delivery, on records written by hand: one that passes, and one for each thing they find."""

from __future__ import annotations

import pytest
from builders import at_client, conversation, emissions, exchange, found, judge, passes, receptions, script_of, up, wait

from fake_upstream.pacing import burst
from fake_upstream.script import Script
from harness.record import Wait
from harness.verdict import Result

LOCKSTEP = script_of("delivery/lockstep")
HEAD = at_client(1.5, "head_received", note="200")


def holds(happened: int, then: str = "", ended: float = 100) -> tuple[Wait, ...]:
    """So many chunks held in time, and then one that was not."""
    good = (wait("holds", ended=1),) * happened
    return (*good, wait("holds", then, ended=ended), wait("over", ended=ended)) if then else (*good, wait("over"))  # type: ignore[arg-type]


class TestLockstep:
    def test_each_chunk_in_hand_before_the_next_passes(self) -> None:
        assert passes(judge("delivery/lockstep", conversation(LOCKSTEP), waits=holds(6)))

    def test_a_proxy_that_collects_is_blocked_at_the_first_chunk(self) -> None:
        outcome = judge(
            "delivery/lockstep",
            exchange(LOCKSTEP, *emissions(LOCKSTEP, chunks=1), status=None),
            waits=holds(0, "never"),
        )
        assert outcome.verdict == "fail"
        assert outcome.findings[0].expected == "512 bytes at the client after chunk 0"
        assert found(outcome) == [("blocked", "0 bytes; the proxy holds 512 (headers withheld too)")]

    def test_a_proxy_that_keeps_the_last_chunk_is_blocked_there(self) -> None:
        outcome = judge(
            "delivery/lockstep",
            exchange(LOCKSTEP, *emissions(LOCKSTEP), *receptions(LOCKSTEP, chunks=5)),
            waits=holds(5, "never"),
        )
        assert outcome.findings[0].expected == "3,072 bytes at the client after chunk 5"
        assert found(outcome) == [("blocked", "2,560 bytes; the proxy holds 512")]

    def test_held_bytes_that_come_after_the_release_are_told(self) -> None:
        late = [at_client(200, "head_received"), at_client(201, "received", size=3_072)]
        outcome = judge(
            "delivery/lockstep",
            exchange(LOCKSTEP, *emissions(LOCKSTEP, every=60), *late, at_client(202, "ended")),
            waits=holds(0, "never", ended=50),
        )
        assert "they came once the upstream had gone on" in found(outcome)[0][1]

    def test_a_response_that_ends_early_is_told_as_its_end(self) -> None:
        outcome = judge(
            "delivery/lockstep",
            exchange(LOCKSTEP, *emissions(LOCKSTEP, chunks=1), HEAD, at_client(5, "ended")),
            waits=holds(0, "ended", ended=5),
        )
        assert found(outcome) == [("blocked", "the response ended (status 200, 0 bytes)")]

    def test_a_wedged_proxy_fails_too(self) -> None:
        outcome = judge(
            "delivery/lockstep", exchange(LOCKSTEP, *emissions(LOCKSTEP, chunks=1), HEAD), waits=holds(0, "wedged")
        )
        assert found(outcome)[0][1].endswith("nothing else passes through it either: it is wedged")

    def test_a_proxy_that_never_asks_is_not_said_to_hold_anything(self) -> None:
        outcome = judge("delivery/lockstep", exchange(LOCKSTEP, status=None), waits=holds(0, "never"))
        assert found(outcome) == [("blocked", "0 bytes; the proxy never asked the upstream")]

    def test_how_a_response_ends_is_not_its_business(self) -> None:
        subject = conversation(LOCKSTEP, at_client(80, "broke", note="ReadError"))
        assert passes(judge("delivery/lockstep", subject, waits=holds(6)))


class TestHeadersFirst:
    SCRIPT = script_of("delivery/headers_first")

    def test_a_head_before_the_first_byte_passes(self) -> None:
        assert passes(judge("delivery/headers_first", conversation(self.SCRIPT), waits=(wait("head"), wait("over"))))

    def test_a_head_that_waits_for_the_body_is_withheld(self) -> None:
        late = [at_client(110, "head_received"), at_client(111, "received", size=2_048), at_client(112, "ended")]
        outcome = judge(
            "delivery/headers_first",
            exchange(self.SCRIPT, up(0, "asked"), up(1, "head_sent"), *late),
            waits=(wait("head", "never", ended=100), wait("over")),
        )
        assert found(outcome) == [("withheld", "0 bytes; the upstream has sent 0 bytes (headers withheld too)")]

    def test_a_response_that_breaks_before_its_head_is_told_so(self) -> None:
        outcome = judge(
            "delivery/headers_first",
            exchange(self.SCRIPT, up(0, "asked"), at_client(3, "broke", note="ReadError: ECONNRESET"), status=None),
            waits=(wait("head", "ended", ended=3), wait("over")),
        )
        assert found(outcome) == [("withheld", "the response broke (no head, 0 bytes): ReadError: ECONNRESET")]


class TestNotRegrouped:
    SCRIPT = script_of("delivery/not_regrouped")

    def test_small_chunks_one_at_a_time_pass(self) -> None:
        assert passes(judge("delivery/not_regrouped", conversation(self.SCRIPT), waits=holds(100)))

    def test_a_buffer_shows_its_size(self) -> None:
        pieces = [at_client(200 + i, "received", size=size) for i, size in enumerate((4_096, 4_096, 1_808))]
        outcome = judge(
            "delivery/not_regrouped",
            exchange(self.SCRIPT, *emissions(self.SCRIPT, chunks=1), HEAD, *pieces, at_client(300, "ended")),
            waits=holds(0, "never", ended=100),
        )
        assert outcome.findings[0].expected == "each chunk of 100 bytes on its own"
        assert found(outcome) == [
            (
                "quantised",
                "0 bytes; the proxy holds 100; they came once the upstream had gone on; "
                "the rest came in pieces of up to 4,096 bytes",
            )
        ]

    def test_where_nothing_came_afterwards_no_size_is_made_up(self) -> None:
        outcome = judge(
            "delivery/not_regrouped",
            exchange(self.SCRIPT, *emissions(self.SCRIPT, chunks=1), HEAD),
            waits=holds(0, "never"),
        )
        assert found(outcome) == [("quantised", "0 bytes; the proxy holds 100")]


class TestTail:
    SCRIPT = script_of("delivery/tail")

    def test_everything_before_the_end_marker_passes(self) -> None:
        assert passes(judge("delivery/tail", conversation(self.SCRIPT), waits=holds(1)))

    def test_a_last_piece_that_waits_for_the_end_is_blocked(self) -> None:
        outcome = judge(
            "delivery/tail",
            exchange(self.SCRIPT, *emissions(self.SCRIPT), *receptions(self.SCRIPT, chunks=2)),
            waits=holds(0, "never"),
        )
        assert outcome.findings[0].expected == "all 2,100 bytes at the client before the end marker is sent"
        assert found(outcome) == [("blocked", "1,400 bytes; the proxy holds 700")]


class TestFirstByteThreshold:
    SCRIPT = script_of("delivery/first_byte_threshold")

    def judged(self, misses: int, then_it_came: bool) -> Result:
        waits = (wait("holds", "never"),) * misses + ((wait("holds"),) if then_it_came else ())
        return judge("delivery/first_byte_threshold", conversation(self.SCRIPT), waits=(*waits, wait("over")))

    def test_a_first_byte_that_comes_at_once_needs_one(self) -> None:
        outcome = self.judged(0, True)
        assert passes(outcome)
        assert outcome.metrics == {"first_byte_threshold_bytes": 1}

    @pytest.mark.parametrize(("misses", "needed"), [(1, 512), (3, 8_192), (5, 65_536)])
    def test_a_buffer_is_measured_and_never_failed(self, misses: int, needed: int) -> None:
        outcome = self.judged(misses, True)
        assert outcome.verdict == "pass"
        assert outcome.metrics == {"first_byte_threshold_bytes": needed}
        assert found(outcome) == [("", f"{needed:,} bytes are needed")]

    def test_where_no_byte_came_there_is_no_number(self) -> None:
        outcome = self.judged(6, False)
        assert (outcome.verdict, outcome.metrics, found(outcome)) == ("pass", {}, [("", "none came")])


class TestPaced:
    SCRIPT = Script(burst(3, 960), content_type="audio/pcm")

    def test_both_ways_are_measured(self) -> None:
        direct, proxied = conversation(self.SCRIPT, every=20), conversation(self.SCRIPT, every=20)
        outcome = judge("delivery/paced", direct, proxied, waits=(wait("over"),) * 2)
        assert outcome.verdict == "pass"
        assert outcome.metrics == {
            f"{way}_{name}": value
            for way in ("direct", "proxied")
            for name, value in {
                "forwarding_delay_p50_ms": 0.5,
                "forwarding_delay_p99_ms": 0.5,
                "inter_chunk_latency_max_ms": 20.0,
                "audio_underrun_ms": 0.0,
            }.items()
        }

    def test_a_gap_longer_than_the_audio_at_hand_is_an_underrun(self) -> None:
        """A chunk of 960 bytes lasts 20 ms; one every 50 ms leaves 30 ms of silence twice."""
        outcome = judge("delivery/paced", conversation(self.SCRIPT, every=50), waits=(wait("over"),))
        assert outcome.metrics["direct_audio_underrun_ms"] == pytest.approx(60)

    def test_what_did_not_arrive_is_not_measured(self) -> None:
        silent = exchange(self.SCRIPT, up(0, "asked"), status=None)
        outcome = judge("delivery/paced", conversation(self.SCRIPT), silent, waits=(wait("over"),) * 2)
        assert {name.split("_")[0] for name in outcome.metrics} == {"direct"}
        assert judge("delivery/paced", silent, silent).metrics == {}

"""The judges of event streams in unusual forms, on records written by hand: one that passes, and each finding."""

from __future__ import annotations

import json

import pytest
from builders import conversation, emissions, exchange, found, judge, passes, receptions, script_of, up, wait
from rehearsal import rehearse

from fake_upstream import sse
from fake_upstream.audio import prefix, seeded
from fake_upstream.script import Script
from fake_upstream.spoken import sse_script
from fake_upstream.sse import audio_of
from harness.record import Exchange
from harness.scenario import load_scenarios

ENDED = (wait("over"),)
CRLF, ONE_BYTE, COMMENTS = "events/crlf", "events/one_byte_writes", "events/comments"


def whole(script: Script) -> bytes:
    return prefix(script, script.total)


def anew(script: Script) -> bytes:
    """The stream as a proxy writes it that reads events and makes its own."""
    return sse.delta(audio_of(whole(script))) + sse.done(sse.Usage(0, 0, 0))


@pytest.mark.parametrize("scenario", [CRLF, ONE_BYTE, "events/final_event", "events/last_event", COMMENTS])
def test_every_variant_passes_as_it_was_sent_and_written_anew(scenario: str) -> None:
    for variant in load_scenarios()[scenario].variants:
        script = script_of(scenario, variant)
        waits = rehearse(load_scenarios()[scenario], variant).waits
        for received in (whole(script), anew(script)):
            subject = conversation(script, received=received)
            outcome = judge(scenario, subject, waits=waits, variant=variant)
            assert (outcome.verdict, outcome.findings) == ("pass", ())


class TestAnEventThatDoesNotCome:
    SCRIPT = script_of(CRLF)
    WAITS = (wait("holds", "never", ended=50, what="the client hears 800 bytes of audio"), wait("over"))

    def collected(self, received: bytes | None = None) -> Exchange:
        """Nothing comes until patience is spent and the upstream goes on."""
        events = [e for e in emissions(self.SCRIPT, every=100) if e.what != "emitted" or e.chunk == 0]
        late = [e for e in receptions(self.SCRIPT, every=100) if e.what == "received"]
        return exchange(self.SCRIPT, *events, *late[1:], received=whole(self.SCRIPT) if received is None else received)

    def test_that_comes_later_was_blocked(self) -> None:
        outcome = judge(CRLF, self.collected(), waits=self.WAITS)
        assert outcome.findings[0].expected == "the client hears 800 bytes of audio"
        ((kind, actual),) = found(outcome)
        assert kind == "blocked"
        size = self.SCRIPT.chunks[0].size
        assert actual == (
            f"bytes of the stream at the client: 0 bytes; the proxy holds {size:,} (headers withheld too); "
            "they came once the upstream had gone on"
        )

    def test_that_never_comes_is_lost(self) -> None:
        ((kind, actual),) = found(judge(CRLF, self.collected(b""), waits=self.WAITS))
        assert kind == "lost"
        assert actual.endswith("; that audio did not come later either")

    def test_that_a_response_ended_without_is_lost_too(self) -> None:
        subject = conversation(self.SCRIPT, received=whole(self.SCRIPT)[:50])
        waits = (wait("holds", "ended", ended=900), wait("over"))
        ((kind, actual),) = found(judge(CRLF, subject, waits=waits))
        assert (kind, actual.partition(": ")[2]) == (
            "lost",
            "the response ended (status 200, 50 bytes); that audio did not come later either",
        )


class TestOneByteWrites:
    SCRIPT = script_of(ONE_BYTE)
    WAITS = (wait("holds", staging=True), wait("holds"), wait("over"))

    def test_a_character_that_was_read_in_two_pieces_is_garbled(self) -> None:
        received = whole(self.SCRIPT).replace("声".encode(), "\ufffd\ufffd\ufffd".encode(), 1)
        ((kind, actual),) = found(judge(ONE_BYTE, conversation(self.SCRIPT, received=received), waits=self.WAITS))
        assert (kind, actual) == ("garbled", "'\ufffd\ufffd\ufffd, Ångström, 🙂'")

    def test_an_escaped_character_is_the_same_character(self) -> None:
        events = [json.loads(event.data) for event in sse.EventDecoder().feed(whole(self.SCRIPT))]
        received = b"".join(sse.data_event(event) for event in events)
        assert b"\\u" in received
        assert passes(judge(ONE_BYTE, conversation(self.SCRIPT, received=received), waits=self.WAITS))

    def test_a_proxy_that_collects_lines_is_not_accused_of_it(self) -> None:
        waits = (wait("holds", "never", staging=True), *self.WAITS[1:])
        outcome = judge(ONE_BYTE, conversation(self.SCRIPT), waits=waits)
        assert (outcome.verdict, outcome.staged) == ("pass", False)

    def test_audio_that_is_lost_with_the_character_is_found(self) -> None:
        received = whole(self.SCRIPT).partition("声".encode())[0]
        waits = (self.WAITS[0], wait("holds", "ended", ended=9_000), wait("over"))
        ((kind, _),) = found(judge(ONE_BYTE, conversation(self.SCRIPT, received=received), waits=waits))
        assert kind == "lost"


class TestBigEvent:
    SCENARIO = "events/big_event"

    def heard(self, size: int, received: bytes | None = None) -> Exchange:
        script = sse_script(seeded(6, 0, size), events=1)
        return conversation(script, received=received)

    @pytest.mark.parametrize(("variant", "size"), load_scenarios()[SCENARIO].variants.items())
    def test_a_long_line_in_one_piece_passes(self, variant: str, size: int) -> None:
        subject = self.heard(size)
        assert len(subject.offered) > (1_500_000 if variant == "1.5MB" else 65_536)
        assert passes(judge(self.SCENARIO, subject, waits=ENDED, variant=variant))

    def test_audio_in_many_smaller_events_passes(self) -> None:
        data = seeded(6, 0, 52_000)
        received = b"".join(sse.delta(data[at : at + 1_000]) for at in range(0, len(data), 1_000))
        assert passes(judge(self.SCENARIO, self.heard(52_000, received), waits=ENDED))

    def test_a_line_in_two_is_no_event_any_more(self) -> None:
        line = whole(self.heard(52_000).script)
        received = line[:65_536] + b"\n" + line[65_536:]
        outcome = judge(self.SCENARIO, self.heard(52_000, received), waits=ENDED)
        assert outcome.findings[0].expected == "52,000 bytes of audio"
        ((kind, actual),) = found(outcome)
        assert kind == "changed"
        assert actual.startswith("0 bytes of audio; the response ended (status 200, ")


class TestFinalEvent:
    SCENARIO = "events/final_event"
    SCRIPT = script_of(SCENARIO)

    def test_the_done_event_held_until_the_end_is_blocked(self) -> None:
        more = up(3_000, "released", size=1)
        subject = exchange(self.SCRIPT, *emissions(self.SCRIPT), *receptions(self.SCRIPT, chunks=3), more)
        waits = (wait("holds"), wait("holds", "never", ended=2_900), wait("over"))
        outcome = judge(self.SCENARIO, subject, waits=waits)
        assert outcome.findings[0].expected == "all 4 events at the client before the end of the response"
        ((kind, actual),) = found(outcome)
        assert kind == "blocked"
        assert f"the proxy holds {self.SCRIPT.chunks[-1].size}" in actual


class TestLastEvent:
    SCENARIO = "events/last_event"
    SCRIPT = script_of(SCENARIO)

    def test_the_script_really_ends_in_the_middle(self) -> None:
        assert not sse.is_done(whole(self.SCRIPT))

    def test_an_event_that_was_thrown_away_is_lost(self) -> None:
        received = whole(self.SCRIPT)[: self.SCRIPT.ends[-2]]
        ((kind, actual),) = found(judge(self.SCENARIO, conversation(self.SCRIPT, received=received), waits=ENDED))
        assert kind == "lost"
        assert actual.startswith("its data did not come; the response ended")


class TestComments:
    SCRIPT = script_of(COMMENTS)
    WAITS = (*[wait("holds")] * 3, wait("over"))

    def test_comments_that_were_kept_are_counted(self) -> None:
        outcome = judge(COMMENTS, conversation(self.SCRIPT), waits=self.WAITS)
        assert (outcome.findings, dict(outcome.metrics)) == ((), {"comments_kept_count": 3})
        outcome = judge(COMMENTS, conversation(self.SCRIPT, received=anew(self.SCRIPT)), waits=self.WAITS)
        assert (outcome.findings, dict(outcome.metrics)) == ((), {"comments_kept_count": 0})

    def test_a_comment_inside_an_event_is_seen_and_fails_nobody(self) -> None:
        body = whole(self.SCRIPT)
        received = body[:60] + b"\n: own keep-alive\n\n" + body[60:]
        outcome = judge(COMMENTS, conversation(self.SCRIPT, received=received), waits=self.WAITS)
        assert [kind for kind, _ in found(outcome)] == ["changed"]
        assert outcome.verdict == "pass"

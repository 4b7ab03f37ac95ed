"""The judges of event streams and of what plays, on records written by hand."""

from __future__ import annotations

import pytest
from builders import conversation, emissions, exchange, found, judge, passes, receptions, script_of, wait

from fake_upstream import sse
from fake_upstream.pyav import CodecMissing
from fake_upstream.spoken import speech_script
from fake_upstream.sse import Usage
from harness.record import Exchange
from harness.scenario import load_scenarios

ENDED = (wait("over"),)
LABEL = (("content-type", "text/event-stream"),)


class TestHonoured:
    SCENARIO = "events/honoured"
    SCRIPT = script_of(SCENARIO)

    def test_events_under_their_own_name_pass(self) -> None:
        assert passes(judge(self.SCENARIO, conversation(self.SCRIPT, headers=LABEL), waits=ENDED))

    def test_a_charset_in_the_name_is_no_other_name(self) -> None:
        headers = (("content-type", "text/event-stream; charset=utf-8"),)
        assert passes(judge(self.SCENARIO, conversation(self.SCRIPT, headers=headers), waits=ENDED))

    def test_events_that_are_written_anew_pass(self) -> None:
        """A proxy may cut the audio up as it likes: what listeners hear counts."""
        whole = self.SCRIPT.text.encode()
        audio = sse.audio_of(whole)
        anew = b"".join(sse.delta(audio[at : at + 1_000]) for at in range(0, len(audio), 1_000))
        subject = conversation(self.SCRIPT, received=anew.replace(b"\n", b"\r\n"), headers=LABEL)
        assert passes(judge(self.SCENARIO, subject, waits=ENDED))

    def test_a_stream_named_after_its_audio_is_mislabelled(self) -> None:
        subject = conversation(self.SCRIPT, headers=(("content-type", "audio/mpeg"),))
        ((kind, actual),) = found(judge(self.SCENARIO, subject, waits=ENDED))
        assert kind == "label"
        assert actual.startswith("content-type: audio/mpeg; the response ended (status 200, ")

    def test_audio_that_is_lost_is_counted(self) -> None:
        part = self.SCRIPT.text.encode()[: self.SCRIPT.ends[2]]
        ((kind, actual),) = found(
            judge(self.SCENARIO, conversation(self.SCRIPT, received=part, headers=LABEL), waits=ENDED)
        )
        assert kind == "changed"
        assert actual.startswith("4,800 bytes; the response ended")

    def test_other_audio_of_the_same_length_is_not_the_same(self) -> None:
        size = len(sse.audio_of(self.SCRIPT.text.encode()))
        subject = conversation(self.SCRIPT, received=sse.delta(bytes(size)), headers=LABEL)
        ((kind, actual),) = found(judge(self.SCENARIO, subject, waits=ENDED))
        assert (kind, actual.split(";")[0]) == ("changed", "9,600 bytes, not the same")

    def test_plain_audio_instead_of_events_is_both(self) -> None:
        subject = conversation(self.SCRIPT, received=b"\0\1" * 4_800, headers=(("content-type", "audio/wav"),))
        assert [kind for kind, _ in found(judge(self.SCENARIO, subject, waits=ENDED))] == ["label", "changed"]


class TestProgressive:
    SCENARIO = "events/progressive"
    SCRIPT = script_of(SCENARIO)

    def test_each_event_in_hand_before_the_next_passes(self) -> None:
        waits = (*[wait("holds")] * 6, wait("over"))
        assert passes(judge(self.SCENARIO, conversation(self.SCRIPT), waits=waits))

    def test_a_proxy_that_collects_is_blocked_at_the_first_event(self) -> None:
        subject = exchange(self.SCRIPT, *emissions(self.SCRIPT, chunks=1), status=None)
        outcome = judge(self.SCENARIO, subject, waits=(wait("holds", "never", ended=100), wait("over")))
        assert outcome.findings[0].expected == "800 bytes of audio at the client after event 0"
        size = self.SCRIPT.chunks[0].size
        assert found(outcome) == [
            (
                "blocked",
                f"bytes of the stream at the client: 0 bytes; the proxy holds {size:,} (headers withheld too)",
            )
        ]

    def test_a_proxy_that_is_one_event_behind_is_blocked_at_the_last(self) -> None:
        subject = exchange(self.SCRIPT, *emissions(self.SCRIPT, chunks=6), *receptions(self.SCRIPT, chunks=5))
        waits = (*[wait("holds")] * 5, wait("holds", "never", ended=100), wait("over"))
        outcome = judge(self.SCENARIO, subject, waits=waits)
        assert outcome.findings[0].expected == "4,800 bytes of audio at the client after event 5"


class TestUsage:
    SCENARIO = "events/usage"
    SCRIPT = script_of(SCENARIO)

    def heard(self, last: bytes) -> Exchange:
        body = self.SCRIPT.text.encode()[: self.SCRIPT.ends[-2]] + last
        return conversation(self.SCRIPT, received=body)

    def test_the_upstreams_numbers_pass(self) -> None:
        assert passes(judge(self.SCENARIO, conversation(self.SCRIPT), waits=ENDED))

    def test_other_numbers_are_shown(self) -> None:
        ((kind, actual),) = found(judge(self.SCENARIO, self.heard(sse.done(Usage(14, 0, 14))), waits=ENDED))
        assert kind == "changed"
        assert "output_tokens=0" in actual

    @pytest.mark.parametrize("last", [b"", b"data: [DONE]\n\n", sse.data_event({"type": "speech.audio.done"})])
    def test_numbers_that_do_not_come_are_lost(self, last: bytes) -> None:
        ((kind, actual),) = found(judge(self.SCENARIO, self.heard(last), waits=ENDED))
        assert kind == "lost"
        assert actual.startswith("no usage; ")


class TestPlayable:
    SCENARIO = "fidelity/playable"

    def spoken(self, variant: str, received: bytes | None = None) -> Exchange:
        try:
            script = speech_script(load_scenarios()[self.SCENARIO].variants[variant])
        except CodecMissing as error:
            pytest.skip(str(error))
        return conversation(script, received=received)

    @pytest.mark.parametrize("variant", load_scenarios()[SCENARIO].variants)
    def test_what_was_sent_plays(self, variant: str) -> None:
        assert passes(judge(self.SCENARIO, self.spoken(variant), waits=ENDED, variant=variant))

    @pytest.mark.parametrize("variant", ["wav", "mp3", "flac"])
    def test_half_of_it_plays_half_as_long(self, variant: str) -> None:
        whole = self.spoken(variant).offered
        subject = self.spoken(variant, received=whole[: len(whole) // 2])
        ((kind, actual),) = found(judge(self.SCENARIO, subject, waits=ENDED, variant=variant))
        assert kind in ("other length", "unplayable")
        assert "the response ended (status 200, " in actual

    @pytest.mark.parametrize("variant", ["wav", "mp3", "opus", "aac", "flac"])
    @pytest.mark.parametrize("body", [b"", b'{"error": {"message": "no audio today"}}'], ids=["nothing", "an error"])
    def test_what_is_no_audio_does_not_play(self, variant: str, body: bytes) -> None:
        outcome = judge(self.SCENARIO, self.spoken(variant, received=body), waits=ENDED, variant=variant)
        assert [kind for kind, _ in found(outcome)] == ["unplayable"]

    def test_another_format_than_the_one_asked_for_is_found(self) -> None:
        """Good audio, and the wrong kind."""
        subject = self.spoken("wav", received=self.spoken("flac").offered)
        assert not passes(judge(self.SCENARIO, subject, waits=ENDED, variant="wav"))

"""The judges of bodies in a content coding, on records written by hand: one that passes, and each finding."""

from __future__ import annotations

import gzip
from dataclasses import replace
from typing import Any

import pytest
from builders import at_client, conversation, emissions, exchange, found, judge, passes, receptions, script_of, up, wait

from fake_upstream.audio import content_of, prefix
from fake_upstream.packed import gzip_member
from fake_upstream.script import Script
from harness.record import Exchange
from harness.scenario import load_scenarios

COMPRESSED, LABEL = "delivery/compressed", "fidelity/encoding_label"
GZIP = (("content-encoding", "gzip"),)


class TestCompressed:
    SCRIPT = script_of(COMPRESSED)
    STREAMED = (*[wait("holds")] * 5, wait("over"))

    def test_bytes_as_they_are_pass(self) -> None:
        assert passes(judge(COMPRESSED, conversation(self.SCRIPT), waits=self.STREAMED))

    def test_bytes_that_were_packed_on_the_way_pass(self) -> None:
        packed = gzip.compress(conversation(self.SCRIPT).offered)
        subject = conversation(self.SCRIPT, received=packed, headers=GZIP)
        assert passes(judge(COMPRESSED, subject, waits=self.STREAMED))

    def test_a_compressor_that_is_never_flushed_blocks(self) -> None:
        subject = exchange(
            self.SCRIPT,
            *emissions(self.SCRIPT, chunks=1),
            *receptions(self.SCRIPT, chunks=0),
            received=b"",
            headers=GZIP,
        )
        waits = (wait("holds", "never", ended=100), wait("over"))
        outcome = judge(COMPRESSED, subject, waits=waits)
        assert outcome.findings[0].expected == "4,096 bytes, unpacked, at the client after chunk 0"
        assert found(outcome) == [("blocked", "0 bytes; the proxy holds 4,096; content-encoding: gzip")]
        assert "flush" in outcome.findings[0].hint

    @pytest.mark.parametrize(
        ("came", "said"),
        [
            (gzip_member(bytes(100)), "100 bytes unpacked, of 123 bytes of gzip"),
            (b"plain as before", "15 bytes of gzip, and this is no gzip: "),
        ],
    )
    def test_what_a_client_can_read_of_it_is_counted_unpacked(self, came: bytes, said: str) -> None:
        """HAProxy's compressor hands out the most of a chunk that it can make smaller, and keeps the rest."""
        received = at_client(3, "received", size=len(came))
        subject = exchange(
            self.SCRIPT,
            *emissions(self.SCRIPT, chunks=1),
            at_client(2, "head_received"),
            received,
            received=came,
            headers=GZIP,
        )
        waits = (wait("holds", "never", ended=100), wait("over"))
        ((kind, actual),) = found(judge(COMPRESSED, subject, waits=waits))
        assert kind == "blocked"
        assert actual.startswith(said)
        assert actual.endswith("; the upstream has sent 4,096 bytes")

    def test_a_later_chunk_is_named(self) -> None:
        subject = exchange(self.SCRIPT, *emissions(self.SCRIPT, chunks=3), *receptions(self.SCRIPT, chunks=2))
        waits = (wait("holds"), wait("holds"), wait("holds", "never", ended=100), wait("over"))
        outcome = judge(COMPRESSED, subject, waits=waits)
        assert outcome.findings[0].expected == "12,288 bytes, unpacked, at the client after chunk 2"
        assert "packs nothing" in outcome.findings[0].hint

    @pytest.mark.parametrize("received", [b"\0" * 20_480, gzip.compress(bytes(20_480))], ids=["no gzip", "other bytes"])
    def test_what_was_packed_wrongly_has_changed(self, received: bytes) -> None:
        subject = conversation(self.SCRIPT, received=received, headers=GZIP)
        assert [kind for kind, _ in found(judge(COMPRESSED, subject, waits=self.STREAMED))] == ["changed"]

    def test_what_was_not_packed_at_all_is_judged_elsewhere(self) -> None:
        subject = conversation(self.SCRIPT, received=bytes(20_480))
        assert passes(judge(COMPRESSED, subject, waits=self.STREAMED))


def taking(script: Script, accepted: str = "zstd;q=1, gzip", **fields: Any) -> Exchange:
    """A conversation in which the request that reached the upstream takes these codings."""
    subject = conversation(script, **fields)
    asked = up(0, "asked", headers=(("Accept-Encoding", accepted),))
    return replace(subject, upstream=(asked, *subject.upstream[1:]))


class TestEncodingLabel:
    SCRIPT = script_of(LABEL)

    @pytest.mark.parametrize("variant", load_scenarios()[LABEL].variants)
    def test_as_it_was_with_its_label_and_unpacked_without_pass(self, variant: str) -> None:
        script = script_of(LABEL, variant)
        labelled = taking(script, headers=script.headers)
        unpacked = taking(script, received=content_of(script))
        again = taking(script, received=gzip.compress(content_of(script)), headers=GZIP)
        for subject in (labelled, unpacked, again):
            assert passes(judge(LABEL, subject, variant=variant))

    @pytest.mark.parametrize("variant", load_scenarios()[LABEL].variants)
    def test_a_label_that_was_dropped_is_missed(self, variant: str) -> None:
        script = script_of(LABEL, variant)
        outcome = judge(LABEL, taking(script), variant=variant)
        assert outcome.findings[0].expected == f"content-encoding: {script.payload}"
        assert found(outcome) == [("mislabelled", "content-encoding: identity, and the bytes are packed")]

    @pytest.mark.parametrize("variant", load_scenarios()[LABEL].variants)
    def test_a_label_on_bytes_that_were_unpacked_is_wrong(self, variant: str) -> None:
        script = script_of(LABEL, variant)
        subject = taking(script, received=content_of(script), headers=script.headers)
        ((kind, actual),) = found(judge(LABEL, subject, variant=variant))
        assert kind == "unpacked"
        assert actual.startswith(f"this is no {script.payload}: ")

    def test_bytes_that_are_not_all_there_have_changed(self) -> None:
        subject = taking(self.SCRIPT, received=prefix(self.SCRIPT, 1_024), headers=GZIP)
        ((kind, actual),) = found(judge(LABEL, subject))
        assert (kind, actual) == ("changed", "978 bytes; the response ended (status 200, 1,024 bytes)")

    def test_a_library_that_stops_after_the_first_member_is_hinted_at(self) -> None:
        outcome = judge(LABEL, taking(self.SCRIPT, received=content_of(self.SCRIPT)[:489]))
        assert [kind for kind, _ in found(outcome)] == ["changed"]
        assert "several members" in outcome.findings[0].hint

    @pytest.mark.parametrize("accepted", ["", "identity", "br, deflate"])
    def test_an_upstream_that_packs_unasked_is_no_test_of_anybody(self, accepted: str) -> None:
        """A gateway that makes requests of its own takes what it likes; what it did not take it need not know."""
        assert passes(judge(LABEL, taking(self.SCRIPT, accepted)))
        assert passes(judge(LABEL, conversation(self.SCRIPT)))

    def test_other_bytes_are_shown(self) -> None:
        subject = taking(self.SCRIPT, received=gzip.compress(bytes(2_934)), headers=GZIP)
        ((kind, actual),) = found(judge(LABEL, subject))
        assert kind == "changed"
        assert "; byte 0 is b'\\x00" in actual

    def test_an_error_in_its_place_is_another_status(self) -> None:
        subject = taking(self.SCRIPT, received=b"{}", status=502)
        assert [kind for kind, _ in found(judge(LABEL, subject))] == ["status"]

    def test_a_coding_that_we_cannot_read_accuses_nobody(self) -> None:
        subject = taking(self.SCRIPT, received=b"?", headers=(("content-encoding", "br"),))
        assert passes(judge(LABEL, subject))

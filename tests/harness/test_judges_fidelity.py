"""The judges of fidelity, on records written by hand: one that passes, and one for each thing they find."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from builders import at_client, conversation, exchange, found, judge, passes, script_of, up, wait

from fake_upstream.pacing import burst
from fake_upstream.script import Script
from harness.record import Exchange
from harness.scenario import load_scenarios

ENDED = (wait("over"),)


class TestAnswers:
    SCENARIO = "fidelity/answers"
    SCRIPT = script_of(SCENARIO)

    def test_any_200_passes(self) -> None:
        """Whether it carries what was sent is another claim's."""
        assert passes(judge(self.SCENARIO, conversation(self.SCRIPT), waits=ENDED))
        assert passes(judge(self.SCENARIO, conversation(self.SCRIPT, received=b""), waits=ENDED))

    @pytest.mark.parametrize("status", [201, 404, 502, None])
    def test_any_other_answer_is_none(self, status: int | None) -> None:
        ((kind, actual),) = found(judge(self.SCENARIO, conversation(self.SCRIPT, status=status), waits=ENDED))
        assert kind == "no answer"
        assert (f"status {status}" if status else "no head") in actual


class TestBytes:
    SCENARIO = "fidelity/bytes"
    SCRIPT = script_of(SCENARIO)

    @pytest.mark.parametrize("variant", load_scenarios()[SCENARIO].variants)
    def test_the_same_bytes_pass(self, variant: str) -> None:
        assert passes(
            judge(self.SCENARIO, conversation(script_of(self.SCENARIO, variant)), waits=ENDED, variant=variant)
        )

    @pytest.mark.parametrize(
        ("old", "new"), [(b"\r\n", b"\n"), (b"\xff", "\ufffd".encode()), (b"\0", b"")], ids=["line ends", "text", "NUL"]
    )
    def test_a_byte_that_was_taken_for_something_else_is_named(self, old: bytes, new: bytes) -> None:
        body = self.SCRIPT_BYTES.replace(old, new)
        assert body != self.SCRIPT_BYTES, "the payload must hold what people trip over"
        ((kind, actual),) = found(judge(self.SCENARIO, conversation(self.SCRIPT, received=body), waits=ENDED))
        assert kind == "changed"
        assert "; byte " in actual

    @property
    def SCRIPT_BYTES(self) -> bytes:  # noqa: N802
        return conversation(self.SCRIPT).offered

    def test_missing_bytes_are_counted(self) -> None:
        subject = conversation(self.SCRIPT, received=self.SCRIPT_BYTES[:-1])
        assert found(judge(self.SCENARIO, subject, waits=ENDED)) == [
            ("changed", f"the response ended (status 200, {self.SCRIPT.total - 1:,} bytes)")
        ]


class TestContentType:
    SCENARIO = "fidelity/content_type"

    @pytest.mark.parametrize("variant", load_scenarios()[SCENARIO].variants)
    def test_the_upstreams_own_passes(self, variant: str) -> None:
        script = script_of(self.SCENARIO, variant)
        subject = conversation(script, headers=(("content-type", script.content_type),))
        assert passes(judge(self.SCENARIO, subject, waits=ENDED, variant=variant))

    @pytest.mark.parametrize("given", ["audio/mpeg", "application/octet-stream"])
    def test_another_is_forced(self, given: str) -> None:
        script = script_of(self.SCENARIO, "wav")
        subject = conversation(script, headers=(("content-type", given),))
        outcome = judge(self.SCENARIO, subject, waits=ENDED, variant="wav")
        assert outcome.findings[0].expected == f"status 200, content-type: {script.content_type}"
        assert found(outcome) == [
            ("forced", f"content-type: {given}; the response ended (status 200, 1,000 bytes)"),
        ]

    def test_none_at_all_is_found(self) -> None:
        ((_, actual),) = found(judge(self.SCENARIO, conversation(script_of(self.SCENARIO)), waits=ENDED))
        assert actual.startswith("content-type: None; ")


class TestRequestBody:
    SCENARIO = "fidelity/request_body"
    SCRIPT = Script(burst(2, 500), content_type="audio/mpeg")
    SENT = {"model": "tts-1", "input": "Grüße, 声", "voice": {"id": "voice_1234"}, "speed": 1.25}  # noqa: RUF012

    def asked(self, body: str | None, **sent: Any) -> Exchange:
        events = [] if body is None else [up(0, "asked", body=body)]
        subject = exchange(self.SCRIPT, *events, at_client(5, "ended"))
        return replace(subject, request=json.dumps({**self.SENT, **sent}, ensure_ascii=False))

    def test_the_same_document_passes_however_it_is_written(self) -> None:
        for text in (json.dumps(self.SENT), json.dumps(self.SENT, ensure_ascii=False, indent=2, sort_keys=True)):
            assert passes(judge(self.SCENARIO, self.asked(text), waits=ENDED))

    def test_the_models_name_is_the_gateways_to_map_and_it_may_add_fields(self) -> None:
        body = json.dumps({**self.SENT, "model": "openai/tts-1", "user": "gateway"})
        assert passes(judge(self.SCENARIO, self.asked(body), waits=ENDED))

    @pytest.mark.parametrize(
        ("change", "kind", "actual"),
        [
            ({"speed": 1}, "speed", "speed = 1"),
            ({"input": "Gr??e, ?"}, "input", "input = 'Gr??e, ?'"),
            ({"voice": "voice_1234"}, "voice", "voice = 'voice_1234'"),
        ],
    )
    def test_a_field_that_changed_is_named(self, change: dict[str, Any], kind: str, actual: str) -> None:
        body = json.dumps({**self.SENT, **change})
        assert found(judge(self.SCENARIO, self.asked(body), waits=ENDED)) == [(kind, actual)]

    def test_a_field_that_was_dropped_is_absent(self) -> None:
        body = json.dumps({name: value for name, value in self.SENT.items() if name != "speed"})
        assert found(judge(self.SCENARIO, self.asked(body), waits=ENDED)) == [("speed", "speed = 'absent'")]

    @pytest.mark.parametrize("body", ["", "not json", "[]", "5"])
    def test_what_is_no_json_object_is_shown(self, body: str) -> None:
        assert found(judge(self.SCENARIO, self.asked(body), waits=ENDED)) == [("document", repr(body))]

    def test_a_proxy_that_never_asked(self) -> None:
        ((_, actual),) = found(judge(self.SCENARIO, self.asked(None), waits=ENDED))
        assert actual.endswith("the proxy never asked the upstream")


class TestResponseHeaders:
    SCENARIO = "fidelity/response_headers"
    SCRIPT = script_of(SCENARIO)

    def test_the_upstreams_own_pass_among_others(self) -> None:
        headers = (("server", "gateway"), *self.SCRIPT.headers)
        assert passes(judge(self.SCENARIO, conversation(self.SCRIPT, headers=headers), waits=ENDED))

    def test_each_that_was_dropped_is_named(self) -> None:
        outcome = judge(self.SCENARIO, conversation(self.SCRIPT, headers=self.SCRIPT.headers[:3]), waits=ENDED)
        assert [finding.expected for finding in outcome.findings] == [
            "x-ratelimit-remaining-requests: 499",
            "x-ratelimit-reset-requests: 120ms",
        ]
        assert {kind for kind, _ in found(outcome)} == {"dropped"}

    def test_another_value_is_shown(self) -> None:
        headers = (("x-request-id", "gateway-1"), *self.SCRIPT.headers[1:])
        ((kind, actual),) = found(judge(self.SCENARIO, conversation(self.SCRIPT, headers=headers), waits=ENDED))
        assert kind == "changed"
        assert actual.startswith("x-request-id: gateway-1; the response ended")


class TestFraming:
    SCENARIO = "fidelity/framing"
    SCRIPT = script_of(SCENARIO)
    BROKE = at_client(40, "broke", note="RemoteProtocolError: incomplete")

    @pytest.mark.parametrize(
        "headers",
        [(("content-length", "2100"),), (("transfer-encoding", "chunked"),), ()],
        ids=["length", "chunks", "close"],
    )
    def test_one_way_or_the_end_of_the_connection_pass(self, headers: tuple[tuple[str, str], ...]) -> None:
        assert passes(judge(self.SCENARIO, conversation(self.SCRIPT, headers=headers), waits=ENDED))

    def test_both_at_once_is_found_whatever_a_lenient_client_makes_of_it(self) -> None:
        headers = (("content-length", "2100"), ("transfer-encoding", "chunked"))
        ((kind, actual),) = found(judge(self.SCENARIO, conversation(self.SCRIPT, headers=headers), waits=ENDED))
        assert kind == "both"
        assert actual.startswith("content-length: 2100, transfer-encoding: chunked; the response ended")

    @pytest.mark.parametrize(
        ("headers", "said"), [((), "neither"), ((("content-length", "9999"),), "content-length: 9999")]
    )
    def test_a_body_that_is_all_there_and_not_over_is_unframed(
        self, headers: tuple[tuple[str, str], ...], said: str
    ) -> None:
        subject = conversation(self.SCRIPT, up(33, "finished"), headers=headers)
        ((kind, actual),) = found(judge(self.SCENARIO, subject, waits=(wait("over", "never"),)))
        assert kind == "unframed"
        assert actual == f"{said}; the response is still open (status 200, 2,100 bytes)"

    def test_a_body_that_is_all_there_and_broke_is_misframed(self) -> None:
        subject = conversation(self.SCRIPT, up(33, "finished"), self.BROKE)
        assert [kind for kind, _ in found(judge(self.SCENARIO, subject, waits=ENDED))] == ["misframed"]

    def test_a_body_that_is_not_all_there_is_another_claims_business(self) -> None:
        subject = conversation(self.SCRIPT, up(33, "finished"), self.BROKE, received=b"")
        assert passes(judge(self.SCENARIO, subject, waits=ENDED))
        assert passes(judge(self.SCENARIO, conversation(self.SCRIPT, received=b"", status=502), waits=ENDED))


class TestExpectContinue:
    SCENARIO = "fidelity/expect_continue"
    SCRIPT = script_of(SCENARIO)

    def test_leave_and_then_the_answer_pass(self) -> None:
        assert passes(judge(self.SCENARIO, conversation(self.SCRIPT), waits=(wait("head"), *ENDED)))

    def test_a_body_that_had_to_go_without_leave_is_found_though_the_answer_came(self) -> None:
        outcome = judge(self.SCENARIO, conversation(self.SCRIPT), waits=(wait("head", "never"), *ENDED))
        assert outcome.findings[0].expected == "100 Continue, or a final status, before the client sends its body"
        ((kind, actual),) = found(outcome)
        assert kind == "deaf"
        assert actual.startswith("neither; the client sent its body all the same, and the response ended (status 200")

    @pytest.mark.parametrize(("status", "kind"), [(417, "refused"), (502, "status"), (None, "no answer")])
    def test_another_answer_than_without_the_field_is_found(self, status: int | None, kind: str) -> None:
        subject = exchange(self.SCRIPT, at_client(9, "ended"), status=status)
        assert [kind for kind, _ in found(judge(self.SCENARIO, subject, waits=(wait("head"), *ENDED)))] == [kind]

    def test_a_connection_that_broke_while_we_waited_is_told_once(self) -> None:
        subject = exchange(self.SCRIPT, at_client(9, "broke", note="ReadError: ECONNRESET"), status=None)
        outcome = judge(self.SCENARIO, subject, waits=(wait("head", "ended"), *ENDED))
        assert [kind for kind, _ in found(outcome)] == ["no answer"]


class TestRangeAndHead:
    SCENARIO = "fidelity/range_and_head"
    SCRIPT = Script(burst(4, 500), content_type="audio/mpeg", framing="content-length", ranges=True)
    WHOLE = conversation(SCRIPT).offered
    PART = (("content-range", "bytes 100-1199/2000"), ("content-length", "1100"))

    def answered(self, status: int, body: bytes, headers: tuple[tuple[str, str], ...] = ()) -> Exchange:
        asked = up(0, "asked", note="POST /v1/audio/speech", headers=(("Range", "bytes=100-1199"),))
        return exchange(self.SCRIPT, asked, at_client(9, "ended"), received=body, status=status, headers=headers)

    def kinds(self, subject: Exchange, variant: str = "range") -> list[str]:
        outcome = judge(self.SCENARIO, subject, waits=ENDED, variant=variant)
        assert outcome.verdict == "pass", "it is observed"
        return [kind for kind, _ in found(outcome)]

    def test_the_part_that_was_asked_for_passes(self) -> None:
        assert self.kinds(self.answered(206, self.WHOLE[100:1_200], self.PART)) == []

    def test_the_head_alone_passes(self) -> None:
        assert self.kinds(self.answered(200, b"", (("content-length", "2000"),)), "head") == []

    def test_nothing_where_there_is_nothing_passes(self) -> None:
        headers = (("content-range", "bytes */2000"), ("content-length", "0"))
        assert self.kinds(self.answered(416, b"", headers), "unsatisfiable") == []

    def test_the_whole_body_instead_of_a_part_is_a_range_that_was_ignored(self) -> None:
        subject = self.answered(200, self.WHOLE)
        assert self.kinds(subject) == ["ignored"]
        ((_, actual),) = found(judge(self.SCENARIO, subject, waits=ENDED, variant="range"))
        assert actual.endswith("; the upstream was asked POST, range bytes=100-1199")

    def test_other_answers_are_told(self) -> None:
        assert self.kinds(self.answered(502, b"")) == ["status"]
        assert self.kinds(self.answered(206, self.WHOLE[:1_100], self.PART)) == ["changed"]
        assert self.kinds(self.answered(206, self.WHOLE[100:1_200], self.PART[1:])) == ["unlabelled"]
        assert self.kinds(self.answered(200, b"", (("content-length", "0"),)), "head") == ["length"]


class TestTrailers:
    SCENARIO = "fidelity/trailers"
    SCRIPT = script_of(SCENARIO)

    @pytest.mark.parametrize(
        ("trailers", "headers", "kinds"),
        [
            ([["x-checksum", "c0ffee"]], (), []),
            ([["x-other", "1"], ["x-checksum", "c0ffee"]], (("trailer", "x-checksum"),), []),
            ([], (), ["dropped"]),
            ([["x-checksum", "0"]], (), ["dropped"]),
            ([], (("trailer", "x-checksum"),), ["announced"]),
        ],
    )
    def test_what_came_behind_the_body(
        self, trailers: list[list[str]], headers: tuple[tuple[str, str], ...], kinds: list[str]
    ) -> None:
        subject = conversation(self.SCRIPT, headers=headers)
        outcome = judge(self.SCENARIO, subject, waits=ENDED, facts={"trailers": trailers})
        assert (outcome.verdict, [kind for kind, _ in found(outcome)]) == ("pass", kinds)

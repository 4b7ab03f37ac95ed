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

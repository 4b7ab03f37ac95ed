"""How a gateway's own suite uses streamproof, beside its own `harness` and `scenarios`."""

import httpx
import pytest
import voicegate
from harness.headers import kept

from scenarios import VOICES


def test_our_own_modules_are_ours():
    assert kept([(b"X-Other", b"1"), (b"Content-Type", b"audio/wav")]) == [(b"Content-Type", b"audio/wav")]
    assert len(VOICES) == 2


@pytest.mark.parametrize("claim", ["delivery/lockstep", "closure/one_request", "disconnect/silent_upstream"])
def test_the_gateway_keeps_the_claim(streamproof, claim):
    streamproof.check(voicegate.build, claim, loops="asyncio")


def test_a_family_at_once(streamproof):
    results = streamproof.check("app:voicegate.py:build", "truncation/no_hang", loops="asyncio,trio")
    assert {result.verdict for result in results} == {"pass"}


def test_a_claim_that_does_not_hold_says_so(streamproof):
    with pytest.raises(AssertionError, match=r"FAIL  delivery/lockstep.*\n  claim     The client holds each chunk"):
        streamproof.check("specimen:regroups_8k", "delivery/lockstep", loops="asyncio")


def test_our_own_assertions_on_what_the_upstream_saw(streamproof):
    with streamproof.upstream() as upstream:
        speech = {"model": "tts-1", "voice": "alloy", "input": "Hello.", "response_format": "wav", "speed": 4.0}
        with httpx.Client(trust_env=False) as http:
            answer = http.post(f"{upstream.url}/audio/speech", json=speech)
        assert answer.status_code == 200
        (asked,) = upstream.asked("Hello.")
        assert asked.note == "POST /v1/audio/speech"


def test_our_own_modules_are_still_ours():
    import harness
    import scenarios

    assert "nothing to do with streamproof" in harness.__doc__
    assert scenarios.VOICES is VOICES

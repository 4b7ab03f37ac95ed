"""The judge of RFC 10036, on records written by hand: who does not know the field is never accused."""

from __future__ import annotations

import pytest
from builders import at_client, conversation, emissions, exchange, found, judge, receptions, up, wait

from fake_upstream.pacing import lockstep
from fake_upstream.script import Script
from harness.record import Exchange, Wait
from harness.scenario import load_scenarios
from harness.verdict import Result

SCENARIO = "delivery/incremental"
SCRIPT = Script(lockstep(6, 100), content_type="audio/mpeg")
VARIANTS = load_scenarios()[SCENARIO].variants
TRUE = ("both", "response", "request", "unknown-parameter")
FALSE = ("false", "token", "integer", "twice")
REFUSED = (("proxy-status", "gateway; error=incremental_refused"),)

Headers = tuple[tuple[str, str], ...]


def streamed(variant: str, *, kept: bool = True) -> Exchange:
    """A message that comes as it is sent, its marks forwarded or not."""
    on_request, on_response = VARIANTS[variant] if kept else ("", "")
    asked = up(0, "asked", headers=(("Incremental", on_request),) if on_request else ())
    headers: Headers = (("incremental", on_response),) if on_response else ()
    events = [event for event in emissions(SCRIPT) if event.what != "asked"]
    return exchange(SCRIPT, asked, *events, *receptions(SCRIPT), at_client(90, "ended"), headers=headers)


def collected() -> Exchange:
    """A message that comes only once the upstream went on."""
    return exchange(SCRIPT, *emissions(SCRIPT, every=9_000, chunks=1), at_client(9_000, "received", size=600))


def refused(status: int, headers: Headers = ()) -> Exchange:
    return exchange(SCRIPT, at_client(3, "ended"), status=status, headers=headers)


def waits(*stuck: bool) -> tuple[Wait, ...]:
    """Of the plain and of the marked staging; one that is stuck has waited in vain for the first chunk."""
    all_waits: list[Wait] = []
    for index, never in enumerate(stuck):
        holds = [wait("holds", "never", 8_000, exchange=index)] if never else [wait("holds", exchange=index)] * 6
        all_waits += [*holds, wait("over", exchange=index)]
    return tuple(all_waits)


def verdict(
    variant: str, plain: Exchange, marked: Exchange, stuck: tuple[bool, bool] = (False, False), declared: bool = False
) -> Result:
    facts = {"declared": declared}
    return judge(SCENARIO, plain, marked, waits=waits(*stuck), variant=variant, facts=facts)


def kinds(outcome: Result) -> list[str]:
    return [kind for kind, _ in found(outcome)]


@pytest.mark.parametrize("declared", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_proxy_that_streams_everything_and_keeps_the_field_passes(variant: str, declared: bool) -> None:
    outcome = verdict(variant, conversation(SCRIPT), streamed(variant), declared=declared)
    assert (outcome.verdict, dict(outcome.metrics)) == ("pass", {})


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_proxy_that_does_not_know_the_field_is_measured_and_never_failed(variant: str) -> None:
    collects = verdict(variant, collected(), collected(), (True, True))
    assert collects.verdict == "pass"
    assert dict(collects.metrics) == {"held_back_plain_bytes": 100, "held_back_marked_bytes": 100}
    assert verdict(variant, conversation(SCRIPT), streamed(variant, kept=False)).verdict == "pass"


@pytest.mark.parametrize("variant", TRUE)
def test_by_declaring_it_a_proxy_promises_to_stream(variant: str) -> None:
    outcome = verdict(variant, collected(), collected(), (True, True), declared=True)
    assert kinds(outcome) == ["blocked"]
    assert outcome.findings[0].expected == "100 bytes at the client, as the message is marked"


@pytest.mark.parametrize("variant", TRUE)
def test_a_mark_does_not_make_it_worse(variant: str) -> None:
    assert kinds(verdict(variant, conversation(SCRIPT), collected(), (False, True))) == ["blocked"]


@pytest.mark.parametrize("variant", TRUE)
@pytest.mark.parametrize(("stuck", "declared"), [((True, False), False), ((False, False), True)])
def test_who_knows_the_field_hands_it_on(variant: str, stuck: tuple[bool, bool], declared: bool) -> None:
    """It knows it if it says so, or if it streams what is marked and nothing else."""
    plain = collected() if stuck[0] else conversation(SCRIPT)
    assert kinds(verdict(variant, plain, streamed(variant), stuck, declared)) == []
    outcome = verdict(variant, plain, streamed(variant, kept=False), stuck, declared)
    ways = [way for way, value in zip(("request", "response"), VARIANTS[variant], strict=True) if value]
    assert kinds(outcome) == ["dropped"] * len(ways)
    assert [finding.expected.rpartition(" ")[2] for finding in outcome.findings] == ways
    assert {actual for _, actual in found(outcome)} == {"no such field"}


@pytest.mark.parametrize("variant", FALSE)
def test_what_does_not_ask_for_anything_may_be_collected(variant: str) -> None:
    outcome = verdict(variant, conversation(SCRIPT), collected(), (False, True), declared=True)
    assert outcome.verdict == "pass"


@pytest.mark.parametrize("variant", TRUE)
@pytest.mark.parametrize(("status", "headers"), [(501, REFUSED), (429, ())])
def test_an_honest_refusal_passes(variant: str, status: int, headers: Headers) -> None:
    assert verdict(variant, conversation(SCRIPT), refused(status, headers), (False, True)).verdict == "pass"


@pytest.mark.parametrize("variant", TRUE)
@pytest.mark.parametrize(("status", "headers"), [(501, ()), (500, REFUSED), (503, ()), (400, ())])
def test_a_refusal_that_does_not_say_so_is_found(variant: str, status: int, headers: Headers) -> None:
    outcome = verdict(variant, conversation(SCRIPT), refused(status, headers), (False, True))
    assert kinds(outcome) == ["unnamed"]
    assert found(outcome)[0][1].startswith(f"status {status}, proxy-status: ")


@pytest.mark.parametrize("variant", FALSE)
def test_refusing_what_asks_for_nothing_misreads_the_field(variant: str) -> None:
    assert kinds(verdict(variant, conversation(SCRIPT), refused(501, REFUSED), (False, True))) == ["misread"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_proxy_that_refuses_everything_refuses_the_field_no_more_than_the_rest(variant: str) -> None:
    assert verdict(variant, refused(502), refused(502), (True, True)).verdict == "pass"

"""The pictures of a failure, to the letter."""

from __future__ import annotations

from builders import (
    LOCKSTEP,
    MS,
    at_client,
    blocked_lockstep,
    conversation,
    emissions,
    exchange,
    properties,
    receptions,
    up,
)
from hypothesis import given
from hypothesis import strategies as st

from fake_upstream.events import CLIENT_EVENTS, UPSTREAM_EVENTS, Event
from fake_upstream.pacing import burst
from fake_upstream.script import Script
from harness.record import Exchange
from harness.timeline import MOST_EVENTS, MOST_ROWS, WIDTH, timeline, transcript


def test_a_row_a_chunk_from_its_emission_to_its_reception() -> None:
    """Each bar stands where it stands in time: the second begins when the first is over."""
    events = (
        *emissions(LOCKSTEP, every=100),
        at_client(52, "received", size=512),
        at_client(202, "received", size=1024),
    )
    assert timeline(exchange(LOCKSTEP, *events)) == [
        " 0 |E──────R                      |  50.0 ms",
        " 1 |              E──────────────R|  100.0 ms",
        " 2 |                             =|  0.0 ms",
    ]


def test_what_was_never_received_runs_to_the_edge() -> None:
    subject = exchange(LOCKSTEP, *emissions(LOCKSTEP, chunks=1), at_client(60, "ended"))
    assert timeline(subject) == [" 0 |E────────────────────────────?|  never"]


def test_what_came_after_patience_was_spent_does_not_count() -> None:
    """It had to be released first. Nor are the chunks drawn that were emitted only then."""
    subject = blocked_lockstep().exchanges[0]
    assert timeline(subject, until=3301 * MS) == [" 0 |E────────────────────────────?|  never"]
    assert [line[-8:] for line in timeline(subject)] == ["305.0 ms", "  4.0 ms", "  3.0 ms"]


def test_a_reception_at_the_instant_of_the_emission_is_a_mark_of_its_own() -> None:
    subject = exchange(Script(burst(1, 5)), up(3, "emitted", chunk=0, size=5), at_client(3, "received", size=5))
    assert timeline(subject) == [" 0 |=                             |  0.0 ms"]


def test_a_reception_before_the_emission_is_drawn_too() -> None:
    """A proxy that answers before it is answered: odd, but no reason to crash."""
    subject = exchange(Script(burst(1, 5)), at_client(1, "received", size=5), up(900, "emitted", chunk=0, size=5))
    assert timeline(subject) == [" 0 |=                             |  -899.0 ms"]


def test_chunks_that_were_never_emitted_have_no_row() -> None:
    assert len(timeline(exchange(LOCKSTEP, *emissions(LOCKSTEP, chunks=2)))) == 2
    assert timeline(exchange(LOCKSTEP, up(0, "asked"), up(1, "head_sent"))) == []
    assert timeline(exchange(LOCKSTEP)) == []


def test_of_many_chunks_the_first_few_are_drawn() -> None:
    script = Script(burst(1_208, 1))
    lines = timeline(conversation(script))
    assert len(lines) == MOST_ROWS + 1
    assert lines[-1] == "… 1,200 chunks more"
    assert timeline(conversation(Script(burst(MOST_ROWS, 1))))[-1].startswith(" 7 |")


def test_a_transcript_has_both_ends_in_order_and_what_repeats_in_one_line() -> None:
    script = Script(burst(3, 1_000))
    subject = exchange(
        script,
        up(0, "accepted", note="port 5"),
        up(1, "asked", note="POST /v1/audio/speech"),
        *(up(2 + i / 10, "emitted", chunk=i, size=1_000) for i in range(3)),
        at_client(3, "head_received", note="200"),
        at_client(3, "received", size=3_000),
        up(7.25, "released", request=0, size=1),
        up(8, "finished", note="fin"),
        up(8.1, "closed", note="fin"),
        at_client(9, "broke", note="RemoteProtocolError: peer closed connection"),
    )
    assert transcript(subject) == [
        "    0.0 ms  upstream  asked  POST /v1/audio/speech",
        "    1.0 ms  upstream  emitted ×3  3,000 bytes",
        "    2.0 ms  client    head_received  200",
        "    2.0 ms  client    received  3,000 bytes",
        "    6.2 ms  upstream  released  1 gate",
        "    7.0 ms  upstream  finished  fin",
        "    8.0 ms  client    broke  RemoteProtocolError: peer closed connection",
    ]


def test_a_transcript_of_nothing_says_so() -> None:
    assert transcript(exchange(LOCKSTEP)) == ["nothing was recorded at either end"]


def test_a_transcript_begins_with_the_client_where_the_upstream_was_never_asked() -> None:
    subject = exchange(LOCKSTEP, at_client(5, "head_received", note="404"), at_client(6, "ended"), status=404)
    assert transcript(subject) == ["    0.0 ms  client    head_received  404", "    1.0 ms  client    ended"]


def test_notes_that_differ_are_all_told_and_those_that_repeat_once() -> None:
    subject = exchange(LOCKSTEP, *(up(i, "asked", note=note) for i, note in enumerate(["GET /", "GET /", "POST /"])))
    assert transcript(subject) == ["    0.0 ms  upstream  asked ×3  GET /; POST /"]


def test_a_long_transcript_keeps_its_beginning_and_its_end() -> None:
    script = Script(burst(40, 1))
    lines = transcript(exchange(script, *emissions(script), *receptions(script), at_client(999, "ended")))
    everything = transcript(exchange(script, *emissions(script, chunks=2), *receptions(script, chunks=2)))
    assert len(lines) == MOST_EVENTS
    assert lines[: len(everything)] == everything
    assert lines[-1] == "  999.0 ms  client    ended"
    total = 2 + 1 + 2 * 40 + 1  # asked, head_sent; head_received; each chunk at both ends; ended
    shown = len(lines) - 1
    assert lines[MOST_EVENTS - 4] == f"{'…':>10}  {total - shown} events more"


def test_a_transcript_that_just_fits_is_whole() -> None:
    events = [up(i, "asked" if i % 2 else "peer_fin") for i in range(MOST_EVENTS)]
    assert len(transcript(exchange(LOCKSTEP, *events))) == MOST_EVENTS
    assert not any("more" in line for line in transcript(exchange(LOCKSTEP, *events)))


times = st.integers(0, 200)
anything = st.builds(
    Event,
    at=times,
    what=st.sampled_from([*UPSTREAM_EVENTS, *CLIENT_EVENTS]),
    request=st.integers(0, 2),
    chunk=st.none() | st.integers(0, 4),
    size=st.none() | st.integers(0, 2_000),
    note=st.text(max_size=5),
)
emitted = st.builds(Event, at=times, what=st.just("emitted"), request=st.just(1), chunk=st.integers(0, 2))
received = st.builds(Event, at=times, what=st.just("received"), size=st.sampled_from([1, 512, 1_536]))


def several(usual: st.SearchStrategy[Event]) -> st.SearchStrategy[tuple[Event, ...]]:
    return st.lists(usual | anything, max_size=20).map(tuple)


@given(several(emitted), several(received), st.none() | times)
@properties
def test_any_events_in_any_order_have_a_picture_of_the_usual_size(
    upstream: tuple[Event, ...], client: tuple[Event, ...], until: int | None
) -> None:
    subject = Exchange("key", LOCKSTEP, upstream, client)
    for line in timeline(subject, until):
        assert line.index("|") == 3
        assert line.rindex("|") == 4 + WIDTH
    assert 1 <= len(transcript(subject)) <= MOST_EVENTS

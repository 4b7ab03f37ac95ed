"""Deliveries align by cumulative bytes: however the stream was cut up, a row says when its chunk was whole."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate, pairwise

from builders import MS, at_client, conversation, emissions, exchange, properties, up
from hypothesis import given
from hypothesis import strategies as st

from fake_upstream.events import Event
from fake_upstream.pacing import burst
from fake_upstream.script import Chunk, Script
from harness.deliveries import Delivery, deliveries
from harness.record import Exchange

SCRIPT = Script((Chunk(size=100), Chunk(size=50), Chunk(size=200)))


def received(*reads: tuple[float, int], script: Script = SCRIPT) -> list[float | None]:
    """When each chunk was whole, in ms, if the client read so many bytes at these times."""
    events = [at_client(at, "received", size=size) for at, size in reads]
    rows = deliveries(exchange(script, *emissions(script), *events))
    return [None if row.received is None else row.received / MS for row in rows]


def test_a_row_holds_what_each_station_wrote_down() -> None:
    sent = up(5, "emitted", chunk=0, size=350, until=6, planned=4)
    row = deliveries(exchange(Script(burst(1, 350)), up(0, "asked"), sent, at_client(9, "received", size=350)))
    assert row == (Delivery(0, 350, 350, 4 * MS, 5 * MS, 6 * MS, 9 * MS),)
    assert row[0].forwarding_delay == 4 * MS


def test_one_read_a_chunk() -> None:
    assert received((1, 100), (2, 50), (3, 200)) == [1, 2, 3]


def test_coalesced_chunks_arrive_together() -> None:
    assert received((7, 350)) == [7, 7, 7]


def test_a_chunk_in_pieces_is_whole_with_its_last_byte() -> None:
    assert received((1, 99), (2, 1), (3, 49), (4, 2), (5, 199)) == [2, 4, 5]


def test_a_read_across_a_boundary_completes_only_what_it_reaches() -> None:
    assert received((1, 149), (2, 1), (3, 200)) == [1, 2, 3]


def test_a_partial_chunk_was_never_received() -> None:
    assert received((1, 100), (2, 49)) == [1, None, None]


def test_nothing_received() -> None:
    rows = deliveries(exchange(SCRIPT, *emissions(SCRIPT)))
    assert [row.received for row in rows] == [None, None, None]
    assert [row.forwarding_delay for row in rows] == [None, None, None]


def test_nothing_emitted_and_still_something_received() -> None:
    """A proxy that answers out of its own pocket: the rows say so, and no delay is made up."""
    rows = deliveries(exchange(SCRIPT, at_client(3, "received", size=120)))
    assert [(row.emitted, row.received) for row in rows] == [(None, 3 * MS), (None, None), (None, None)]
    assert rows[0].forwarding_delay is None


def test_more_than_was_sent_completes_the_rows_and_adds_none() -> None:
    assert received((1, 5_000)) == [1, 1, 1]


def test_reads_of_nothing_change_nothing() -> None:
    assert received((1, 0), (2, 100), (3, 0), (4, 250)) == [2, 4, 4]


def test_other_events_between_the_reads_do_not_count() -> None:
    events = [at_client(1, "head_received"), at_client(2, "received", size=350), at_client(3, "ended")]
    assert [row.received for row in deliveries(exchange(SCRIPT, *events))] == [2 * MS] * 3


def test_an_emission_that_never_came_leaves_its_row_empty() -> None:
    rows = deliveries(exchange(SCRIPT, *emissions(SCRIPT, chunks=1)))
    assert [row.emitted for row in rows] == [2 * MS, None, None]
    assert [row.scheduled for row in rows] == [2 * MS, None, None]


def test_of_several_attempts_the_first_answered_one_counts() -> None:
    """The proxy asked, got nothing, asked again; the row tells of the attempt that was answered."""
    events = [up(0, "asked", request=1), *(_later(e, 100) for e in emissions(SCRIPT, request=2))]
    assert [row.emitted for row in deliveries(exchange(SCRIPT, *events))] == [102 * MS, 112 * MS, 122 * MS]


def test_a_second_answer_does_not_overwrite_the_first() -> None:
    again = [_later(event, 500) for event in emissions(SCRIPT, request=2)]
    events = sorted([*emissions(SCRIPT, request=1), *again], key=lambda event: event.at)
    assert [row.emitted for row in deliveries(exchange(SCRIPT, *events))] == [2 * MS, 12 * MS, 22 * MS]


def test_a_body_without_a_head_on_record_still_has_its_attempt() -> None:
    events = [event for event in emissions(SCRIPT, request=3) if event.what == "emitted"]
    assert all(row.emitted is not None for row in deliveries(exchange(SCRIPT, *events)))


def test_an_empty_script_has_no_rows() -> None:
    assert deliveries(conversation(Script())) == ()


def _later(event: Event, ms: int) -> Event:
    return Event(event.at + ms * MS, event.what, event.connection, event.request, chunk=event.chunk, size=event.size)


@st.composite
def split_streams(draw: st.DrawFn) -> tuple[Exchange, list[int], list[tuple[int, int]]]:
    """A script, and its bytes (some, all, or more than all) cut into reads at rising times."""
    sizes = draw(st.lists(st.integers(1, 50), min_size=1, max_size=12))
    reads = draw(st.lists(st.integers(0, 120), max_size=20))
    gaps = draw(st.lists(st.integers(0, 1_000), min_size=len(reads), max_size=len(reads)))
    script = Script(tuple(Chunk(size=size) for size in sizes))
    log = list(zip(accumulate(gaps, initial=1), reads, strict=False))
    events = [Event(at, "received", size=size) for at, size in log]
    return Exchange("key", script, (), tuple(events)), list(script.ends), log


@given(split_streams())
@properties
def test_for_any_split_a_row_is_received_when_its_last_byte_came(
    case: tuple[Exchange, list[int], list[tuple[int, int]]],
) -> None:
    """Said anew in other words: the first read by whose end as many bytes were there as the chunk's end asks for."""
    subject, ends, log = case
    held = list(accumulate(size for _, size in log))
    rows = deliveries(subject)
    for row, end in zip(rows, ends, strict=True):
        read = bisect_left(held, end)
        assert row.received == (log[read][0] if read < len(log) else None)


@given(split_streams(), st.integers(0, 2_000))
@properties
def test_for_any_split_the_rows_received_by_an_instant_fit_into_the_bytes_held_then(
    case: tuple[Exchange, list[int], list[tuple[int, int]]], instant: int
) -> None:
    subject, _, _ = case
    held = subject.received_bytes(instant)
    for row in deliveries(subject):
        assert (row.received is not None and row.received <= instant) == (row.end <= held)


@given(split_streams())
@properties
def test_for_any_split_rows_cover_the_script_in_order(
    case: tuple[Exchange, list[int], list[tuple[int, int]]],
) -> None:
    subject, _, _ = case
    rows = deliveries(subject)
    assert [(row.chunk, row.size, row.end) for row in rows] == [
        (i, chunk.size, end)
        for i, (chunk, end) in enumerate(zip(subject.script.chunks, subject.script.ends, strict=True))
    ]
    came = [row.received for row in rows if row.received is not None]
    assert came == sorted(came)
    assert [row.received is None for row in rows] == sorted(row.received is None for row in rows)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=12), st.lists(st.integers(1, 600), max_size=20))
@properties
def test_rechunking_changes_nothing_but_the_times_of_the_reads(sizes: list[int], cuts: list[int]) -> None:
    """The same bytes at one instant, in one read or in many: the same rows."""
    script = Script(tuple(Chunk(size=size) for size in sizes))
    places = sorted({cut for cut in cuts if cut < script.total} | {0, script.total})
    pieces = [Event(5, "received", size=b - a) for a, b in pairwise(places)]
    whole = Exchange("key", script, (), (Event(5, "received", size=script.total),))
    assert deliveries(Exchange("key", script, (), tuple(pieces))) == deliveries(whole)

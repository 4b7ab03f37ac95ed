"""The sentences of judges: each is made of what both ends wrote down, and of nothing else."""

from __future__ import annotations

import pytest
from builders import LOCKSTEP, MS, at_client, conversation, emissions, exchange, properties, up, wait
from hypothesis import given
from hypothesis import strategies as st

from fake_upstream.audio import prefix
from harness.evidence import count, difference, held_back, how_it_ended, kept, spoilt
from harness.record import Exchange

HEAD = at_client(1.5, "head_received", note="200")


@pytest.mark.parametrize(
    ("number", "says"),
    [(0, "0 bytes"), (1, "1 byte"), (2, "2 bytes"), (1_536, "1,536 bytes"), (200_000_000, "200,000,000 bytes")],
)
def test_numbers_are_said_with_their_noun(number: int, says: str) -> None:
    assert count(number) == says


def test_another_noun() -> None:
    assert (count(1, "gate"), count(3, "gate")) == ("1 gate", "3 gates")


def test_held_back_the_proxy_has_everything_and_the_client_nothing_not_even_the_head() -> None:
    subject = exchange(LOCKSTEP, *emissions(LOCKSTEP, chunks=1), status=None)
    assert held_back(subject, wait("holds", "never", 100)) == "0 bytes; the proxy holds 512 (headers withheld too)"


def test_held_back_the_head_came_and_the_body_did_not() -> None:
    subject = exchange(LOCKSTEP, *emissions(LOCKSTEP, chunks=1), HEAD)
    assert held_back(subject, wait("holds", "never", 100)) == "0 bytes; the proxy holds 512"


def test_held_back_a_part_came() -> None:
    subject = exchange(LOCKSTEP, *emissions(LOCKSTEP), HEAD, at_client(40, "received", size=1_024))
    assert held_back(subject, wait("holds", "never", 100)) == "1,024 bytes; the proxy holds 512"


def test_held_back_what_came_once_the_upstream_had_gone_on_is_the_proof_of_buffering() -> None:
    subject = exchange(
        LOCKSTEP,
        *emissions(LOCKSTEP, every=200),
        at_client(500, "head_received"),
        at_client(501, "received", size=1536),
    )
    assert held_back(subject, wait("holds", "never", 100)) == (
        "0 bytes; the proxy holds 512 (headers withheld too); they came once the upstream had gone on"
    )


def test_held_back_a_head_after_the_wait_was_withheld() -> None:
    subject = exchange(LOCKSTEP, up(0, "asked"), up(1, "head_sent"), at_client(101, "head_received"))
    assert held_back(subject, wait("head", "never", 100)) == (
        "0 bytes; the upstream has sent 0 bytes (headers withheld too)"
    )


def test_held_back_nothing_is_held_where_nothing_was_sent() -> None:
    """The upstream sits behind a gate: the proxy is not accused of holding what does not exist."""
    subject = exchange(LOCKSTEP, up(0, "asked"), up(1, "head_sent"), HEAD)
    assert held_back(subject, wait("holds", "never", 100)) == "0 bytes; the upstream has sent 0 bytes"


def test_held_back_the_proxy_never_asked() -> None:
    assert held_back(exchange(LOCKSTEP, status=None), wait("head", "never", 100)) == (
        "0 bytes; the proxy never asked the upstream"
    )


def test_held_back_a_wedged_proxy_is_called_so() -> None:
    subject = exchange(LOCKSTEP, *emissions(LOCKSTEP, chunks=1), HEAD)
    assert held_back(subject, wait("holds", "wedged", 100)) == (
        "0 bytes; the proxy holds 512; nothing else passes through it either: it is wedged"
    )


def test_held_back_a_response_that_was_over_by_then_is_told_as_its_end() -> None:
    subject = exchange(LOCKSTEP, *emissions(LOCKSTEP, chunks=1), HEAD, at_client(50, "ended"))
    assert held_back(subject, wait("holds", "ended", 50)) == "the response ended (status 200, 0 bytes)"


def test_held_back_a_response_that_ended_after_the_wait_is_no_excuse() -> None:
    subject = exchange(LOCKSTEP, *emissions(LOCKSTEP, chunks=1), HEAD, at_client(101, "ended"))
    assert held_back(subject, wait("holds", "never", 100)).startswith("0 bytes; the proxy holds 512")


def test_an_answer_is_spoilt_unless_it_ended_with_just_its_bytes() -> None:
    assert spoilt(conversation()) == ""
    assert spoilt(exchange(LOCKSTEP)) == (
        "the response is still open (status 200, 0 bytes); the proxy never asked the upstream"
    )
    assert spoilt(conversation(received=b"?" * 1_536)).startswith(
        "the response ended (status 200, 1,536 bytes); byte 0 is b'????????????????', sent was b"
    )


def test_an_upstream_is_kept_as_long_as_its_client_is_there() -> None:
    left = at_client(50, "left", note="reset")
    asked = up(0, "asked")
    assert kept(exchange(LOCKSTEP, asked))
    assert kept(exchange(LOCKSTEP, asked, left, up(51, "peer_fin")))
    assert not kept(exchange(LOCKSTEP, asked, left, up(49, "peer_fin")))
    assert not kept(exchange(LOCKSTEP, asked, up(49, "write_failed")))
    assert not kept(exchange(LOCKSTEP, left)), "nobody asked for it"


def test_how_it_ended_well() -> None:
    assert how_it_ended(conversation()) == "the response ended (status 200, 1,536 bytes)"


def test_how_it_ended_broken_says_by_what() -> None:
    subject = conversation(LOCKSTEP, at_client(50, "broke", note="ReadError: ECONNRESET"))
    assert how_it_ended(subject) == "the response broke (status 200, 1,536 bytes): ReadError: ECONNRESET"


def test_how_it_ended_by_the_client_leaving() -> None:
    subject = conversation(LOCKSTEP, at_client(50, "left", note="reset"))
    assert how_it_ended(subject) == "the client left (status 200, 1,536 bytes)"


def test_how_it_ended_not_at_all() -> None:
    assert how_it_ended(exchange(LOCKSTEP, up(0, "asked"), HEAD)) == "the response is still open (status 200, 0 bytes)"


def test_how_it_ended_without_a_head() -> None:
    subject = exchange(LOCKSTEP, up(0, "asked"), at_client(5, "broke", note="RemoteProtocolError"), status=None)
    assert how_it_ended(subject) == "the response broke (no head, 0 bytes): RemoteProtocolError"


def test_how_it_ended_says_when_the_upstream_was_never_asked() -> None:
    subject = exchange(LOCKSTEP, at_client(5, "ended"), received=b"not found", status=404)
    assert how_it_ended(subject) == "the response ended (status 404, 9 bytes); the proxy never asked the upstream"


def test_how_it_ended_says_when_the_upstream_was_asked_again() -> None:
    subject = exchange(LOCKSTEP, up(0, "asked"), up(1, "asked", request=2), at_client(5, "ended"))
    assert how_it_ended(subject) == "the response ended (status 200, 0 bytes); the proxy asked the upstream 2 times"


@pytest.mark.parametrize(
    ("received", "says"),
    [
        (b"", ""),
        (b"abc", ""),
        (b"abcdef", ""),
        (b"abXdef", "byte 2 is b'Xdef', sent was b'cdef'"),
        (b"Xbc", "byte 0 is b'Xbc', sent was b'abcdef'"),
        (b"abcdefgh", "2 bytes more than were sent: b'gh'"),
        (b"abcdefg", "1 byte more than were sent: b'g'"),
        (b"abcX" + b"y" * 50, "byte 3 is b'Xyyyyyyyyyyyyyyy', sent was b'def'"),
        (b"abcdef" + b"<html>" * 20, "120 bytes more than were sent: b'" + ("<html>" * 20)[:40] + "'"),
    ],
)
def test_difference_names_the_first_byte_that_parts_the_two(received: bytes, says: str) -> None:
    assert difference(received, b"abcdef") == says


def test_difference_counts_in_thousands() -> None:
    offered = bytes(70_000)
    assert difference(offered[:65_536] + b"!", offered).startswith("byte 65,536 is b'!', sent was b'\\x00")


@given(st.binary(max_size=300), st.integers(0, 300))
@properties
def test_difference_finds_nothing_in_a_prefix(offered: bytes, size: int) -> None:
    assert difference(offered[:size], offered) == ""


@given(st.binary(max_size=100), st.binary(max_size=100))
@properties
def test_difference_is_empty_only_for_a_prefix(received: bytes, offered: bytes) -> None:
    assert (difference(received, offered) == "") == offered.startswith(received)


@given(st.integers(0, 1_536), st.integers(0, 3), st.integers(0, 60))
@properties
def test_what_is_said_to_be_held_is_what_was_sent_and_did_not_come(came: int, sent: int, at: int) -> None:
    """Whatever the numbers, the sentence adds up."""
    events = [*emissions(LOCKSTEP, chunks=sent), *([at_client(1, "received", size=came)] if came else [])]
    subject = Exchange("k", LOCKSTEP, tuple(e for e in events if e.request), tuple(e for e in events if not e.request))
    had, emitted = subject.received_bytes(at * MS), subject.emitted_bytes(at * MS)
    said = held_back(subject, wait("holds", "never", at))
    assert said.startswith(count(had))
    assert (f"the proxy holds {emitted - had:,}" in said) == (emitted > had)


def test_offered_bytes_of_the_examples_are_the_scripts() -> None:
    """The builders tell no lies."""
    assert conversation().received == prefix(LOCKSTEP, 1_536) == conversation().offered

"""What arrivals say: streams, regroups, buffers, or nothing. Times in ms after the request."""

from __future__ import annotations

from itertools import accumulate

import pytest
from builders import properties
from hypothesis import given
from hypothesis import strategies as st

from harness.arrivals import Arrivals

MS = 1_000_000


def arrived(*reads: tuple[float, int], head: float = 1, end: float | None = None) -> Arrivals:
    last = max([head, *(at for at, _ in reads)])
    return Arrivals(
        0, round(head * MS), tuple((round(at * MS), size) for at, size in reads), round((end or last + 1) * MS)
    )


def test_an_even_stream_streams() -> None:
    manner, evidence = arrived(*((100 + 20 * i, 500) for i in range(10)), end=300).manner()
    assert manner == "streams"
    assert evidence == "it came in 10 bursts over 180 of 300 ms, the first after 100.0 ms"


@pytest.mark.parametrize("reads", [2, 10, 81, 500, 5000])
def test_an_even_stream_streams_however_many_reads_it_is(reads: int) -> None:
    """Its gaps are a small share of the whole; that says nothing."""
    arrivals = arrived(*((100 + 5000 * i / reads, 480) for i in range(reads)))
    assert arrivals.manner()[0] == "streams"
    assert len(arrivals.bursts()) == reads


def test_all_at_once_after_a_long_wait_is_a_buffer_or_an_upstream_that_had_it_all() -> None:
    manner, evidence = arrived((1000, 4096), (1000.2, 4096), (1000.5, 100)).manner()
    assert manner == "buffers"
    assert evidence == (
        "8,292 bytes came within 0.5 ms, after 1000.0 ms of nothing; "
        "or the upstream had it all ready: ask for a longer text to tell"
    )


def test_what_came_within_a_moment_proves_no_stream() -> None:
    """An upstream that has everything ready, nearby: twenty reads in one of two milliseconds."""
    assert arrived(*((1 + i / 20, 480) for i in range(20)), end=2).manner()[0] == "buffers"


def test_one_read_is_all_at_once() -> None:
    assert arrived((50, 7)).manner()[0] == "buffers"


def test_bursts_of_a_buffers_size_are_regrouped_also_where_a_burst_is_several_reads() -> None:
    """A burst may be read in parts; the last one is whatever was left."""
    reads = [(100 * n + i * 0.1, size) for n in range(1, 5) for i, size in enumerate((8000, 192))]
    arrivals = arrived(*reads, (500, 100), end=501)
    assert [size for _, size in arrivals.bursts()] == [8192, 8192, 8192, 8192, 100]
    assert arrivals.manner() == (
        "regroups",
        "it came in 5 bursts of multiples of 8,192 bytes; that is a buffer's size, if it is not the upstream's own",
    )


def test_the_largest_buffer_that_fits_is_named() -> None:
    _, evidence = arrived((100, 65_536), (200, 131_072), (300, 65_536), (400, 5)).manner()
    assert "multiples of 65,536 bytes" in evidence


@pytest.mark.parametrize("sizes", [(8192, 8192), (8192, 5000, 8192, 5), (512, 512, 512, 512)])
def test_too_few_bursts_or_odd_sizes_are_no_buffer(sizes: tuple[int, ...]) -> None:
    assert arrived(*((100 * (n + 1), size) for n, size in enumerate(sizes))).manner()[0] == "streams"


def test_nothing_is_unknown() -> None:
    assert arrived().manner() == ("unknown", "no byte of a body came")
    assert arrived().bursts() == []


def test_metrics_have_what_was_measured_and_nothing_else() -> None:
    assert arrived((10, 5), (10, 5), (40, 2), head=4, end=50).metrics() == {
        "stream_setup_latency_ms": 4,
        "bytes": 12,
        "time_to_first_chunk_ms": 10,
        "reads": 3,
        "inter_chunk_latency_p50_ms": 15,
        "inter_chunk_latency_max_ms": 30,
        "request_latency_ms": 50,
    }
    assert "inter_chunk_latency_p50_ms" not in arrived((10, 5)).metrics()
    assert set(arrived(end=9).metrics()) == {"stream_setup_latency_ms", "bytes", "request_latency_ms"}


def test_gaps_of_zero_are_kept() -> None:
    assert arrived((10, 5), (10, 5), (40, 2)).gaps_ms == [0, 30]


def test_the_picture_shows_bytes_over_time() -> None:
    assert arrived((0, 1), (50, 8), (99, 4), end=100).picture(10) == "▁    █   ▄"
    assert arrived(end=100).picture(5) == "     "


@properties
@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(1, 10**6)), max_size=40), st.integers(0, 10**9))
def test_no_byte_is_lost_in_bursts_and_something_is_always_said(gaps: list[tuple[int, int]], rest: int) -> None:
    times = list(accumulate((gap for gap, _ in gaps), initial=1))[1:]
    reads = tuple(zip(times, (size for _, size in gaps), strict=True))
    arrivals = Arrivals(0, 1, reads, (times[-1] if times else 1) + rest)
    assert sum(size for _, size in arrivals.bursts()) == arrivals.size == arrivals.metrics()["bytes"]
    assert len(arrivals.picture()) == 60
    manner, evidence = arrivals.manner()
    assert (manner == "unknown") is (not reads)
    assert evidence

"""Which loop runs where: covering sets, exact pairings, and what is said of a wrong one."""

from __future__ import annotations

from itertools import combinations, product

import pytest

from harness.loops import LOOPS, STATIONS, Loop, LoopsError, Pairing, covering, outside, parse_loops


def test_a_covering_set_has_every_two_stations_in_every_combination() -> None:
    """And not all eight triples: that is what it is for."""
    pairings = covering(LOOPS)
    for one, other in combinations(STATIONS, 2):
        met = {(getattr(p, one), getattr(p, other)) for p in pairings}
        assert met == set(product(LOOPS, LOOPS)), (one, other)
    assert len(pairings) == len(set(pairings)) == 4


@pytest.mark.parametrize("name", LOOPS)
def test_one_loop_is_one_pairing(name: Loop) -> None:
    assert parse_loops(name) == (Pairing(name, name, name),)


def test_two_loops_are_a_covering_set_in_the_order_given() -> None:
    assert parse_loops("asyncio,trio") == covering(("asyncio", "trio"))
    assert parse_loops(" trio , asyncio ") == covering(("trio", "asyncio"))
    assert parse_loops("trio,asyncio")[0] == Pairing("trio", "trio", "trio")


def test_a_loop_said_twice_counts_once() -> None:
    assert parse_loops("trio,trio") == (Pairing("trio", "trio", "trio"),)


@pytest.mark.parametrize("pairing", [Pairing(*loops) for loops in product(LOOPS, repeat=3)], ids=str)
def test_an_exact_pairing_reads_back_as_it_is_printed(pairing: Pairing) -> None:
    """Every failure prints its pairing, for the rerun."""
    assert parse_loops(str(pairing)) == (pairing,)


def test_an_exact_pairing_in_any_order() -> None:
    assert parse_loops("client=trio,upstream=asyncio,target=asyncio") == (Pairing("asyncio", "asyncio", "trio"),)


def test_a_target_that_is_not_ours_has_no_loop() -> None:
    (pairing,) = parse_loops("upstream=asyncio,client=trio")
    assert pairing.target is None
    assert str(pairing) == "upstream=asyncio,client=trio"
    assert pairing.to_json() == {"upstream": "asyncio", "target": None, "client": "trio"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "'' is no event loop; give asyncio or trio, or both"),
        ("uvloop", "'uvloop' is no event loop; give asyncio or trio, or both"),
        ("asyncio,curio", "'curio' is no event loop; give asyncio or trio, or both"),
        ("Trio", "'Trio' is no event loop; give asyncio or trio, or both"),
        ("asyncio,", "'' is no event loop; give asyncio or trio, or both"),
        ("upstream=asyncio,target=x,client=trio", "'x' is no event loop; give asyncio or trio, or both"),
        ("upstream=,client=trio", "'' is no event loop; give asyncio or trio, or both"),
        ("proxy=trio", "name each station once, of upstream, target, client; found 'proxy=trio'"),
        (
            "upstream=trio,upstream=trio,client=trio",
            "name each station once, of upstream, target, client; found 'up",
        ),
        ("upstream=trio,trio", "name each station once, of upstream, target, client; found 'trio'"),
        ("target=trio", "say upstream=…,target=…,client=… with a loop each"),
        ("upstream=trio,target=trio", "say upstream=…,target=…,client=… with a loop each"),
        ("client=trio", "say upstream=…,target=…,client=… with a loop each"),
    ],
)
def test_a_wrong_pairing_is_told_what_would_be_right(text: str, says: str) -> None:
    """With the option and what was given to it, so that it can be found in a long command."""
    with pytest.raises(LoopsError) as error:
        parse_loops(text)
    assert str(error.value).startswith(f"--loops {text!r}: {says}")


@pytest.mark.parametrize(
    ("text", "pairings"),
    [
        ("asyncio", ["upstream=asyncio,client=asyncio"]),
        ("asyncio,trio", ["upstream=asyncio,client=asyncio", "upstream=trio,client=trio"]),
        ("upstream=asyncio,client=trio", ["upstream=asyncio,client=trio"]),
        ("upstream=trio,target=trio,client=asyncio", ["upstream=trio,client=asyncio"]),
    ],
)
def test_outside_targets_meet_each_of_our_loops_at_each_station(text: str, pairings: list[str]) -> None:
    """Not in every combination: their own loop is not ours to choose."""
    assert [str(pairing) for pairing in outside(parse_loops(text))] == pairings


def test_outside_targets_have_no_loop_in_reports() -> None:
    assert [pairing.to_json()["target"] for pairing in outside(covering(LOOPS))] == [None, None]

"""Expectations: what a file says, what it covers, what in it is stale, and a file that is written reads the same."""

from __future__ import annotations

from itertools import product
from textwrap import dedent
from typing import Any

import pytest
from builders import pairing, properties, result
from hypothesis import given
from hypothesis import strategies as st

from harness.expectations import (
    Expectation,
    ExpectationsError,
    expected,
    read_expectations,
    stale,
    write_expectations,
)
from harness.loops import covering, outside
from harness.verdict import Finding, Result, exit_code

KNOWN = {"delivery/lockstep": ("chunked-512", "http10"), "truncation/no_hang": ("fin", "reset")}
ASYNCIO, TRIO = pairing("asyncio", "asyncio", "asyncio"), pairing("trio", "trio", "asyncio")
TARGET = "litellm/model"


def read(text: str) -> list[Expectation]:
    return read_expectations(dedent(text), "expected.toml", KNOWN)


def failed(**fields: Any) -> Result:
    return result("fail", **{"target": TARGET, "findings": (Finding("bread", "stones"),), **fields})


def passed(**fields: Any) -> Result:
    return result("pass", **{"target": TARGET, **fields})


def test_entries_are_scenarios_with_variant_and_loops_and_the_line_that_says_so() -> None:
    entries = read(
        """
        # what is known
        ["litellm/model"]
        "delivery/lockstep" = "buffers"

        "truncation/no_hang[fin]" = "hangs"  # for ever
        [reference]
        'delivery/lockstep[http10] target=trio,client=asyncio' = ""
        """
    )
    assert entries == [
        Expectation(TARGET, "delivery/lockstep", "delivery/lockstep", "", {}, 4, "buffers"),
        Expectation(TARGET, "truncation/no_hang[fin]", "truncation/no_hang", "fin", {}, 6, "hangs"),
        Expectation(
            "reference",
            "delivery/lockstep[http10] target=trio,client=asyncio",
            "delivery/lockstep",
            "http10",
            {"target": "trio", "client": "asyncio"},
            8,
        ),
    ]


def test_a_file_with_nothing_in_it_expects_nothing() -> None:
    assert read("# nothing is known") == []


def test_the_same_entry_of_two_targets_has_two_lines() -> None:
    entries = read(
        """
        ["a"]
        "delivery/lockstep" = "x"
        [ 'b' ] # "delivery/lockstep"
          "delivery/lockstep"="x"
        """
    )
    assert [(entry.target, entry.line) for entry in entries] == [("a", 3), ("b", 5)]


def test_a_target_whose_name_must_be_quoted_has_its_lines_too() -> None:
    """A command may have any letter in it."""
    (entry,) = read('''
        ["cmd:gateway \\"--x=[1]\\" {port}"]
        "delivery/lockstep" = """
        many = lines"""
    ''')
    assert (entry.target, entry.line) == ('cmd:gateway "--x=[1]" {port}', 3)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('"delivery/lockstep" = 5', "'delivery/lockstep': its value is 5; give the reason, a string"),
        (
            '"delivery/pigeon" = ""',
            "'delivery/pigeon': there is no scenario 'delivery/pigeon'; `streamproof list` shows them",
        ),
        (
            '"delivery/lockstep[x]" = ""',
            "'delivery/lockstep[x]': delivery/lockstep has no variant 'x'; it has chunked-512, http10",
        ),
        (
            '"delivery/lockstep [x]" = ""',
            "'delivery/lockstep [x]': '[x]' names no loops; write them as in target=trio,client=asyncio",
        ),
        (
            '"delivery/lockstep target=uvloop" = ""',
            "'delivery/lockstep target=uvloop': 'target=uvloop' names no loops; "
            "write them as in target=trio,client=asyncio",
        ),
        (
            '"delivery/lockstep proxy=trio" = ""',
            "'delivery/lockstep proxy=trio': 'proxy=trio' names no loops; write them as in target=trio,client=asyncio",
        ),
        (
            '"delivery/lockstep a b" = ""',
            "'delivery/lockstep a b': write SCENARIO, SCENARIO[VARIANT], or either with loops behind a space",
        ),
        ('"" = ""', "'': write SCENARIO, SCENARIO[VARIANT], or either with loops behind a space"),
    ],
)
def test_an_entry_that_is_wrong_is_told_with_its_line(line: str, says: str) -> None:
    with pytest.raises(ExpectationsError) as error:
        read(f'["a"]\n"truncation/no_hang" = "x"\n{line}\n')
    assert str(error.value) == f"expected.toml:3: {says}"


def test_entries_outside_a_target_are_told_the_form() -> None:
    with pytest.raises(ExpectationsError) as error:
        read('\n"delivery/lockstep" = "x"\n')
    assert str(error.value) == 'expected.toml:2: write a table a target, as in ["delivery/lockstep"]'


@pytest.mark.parametrize("text", ["[a\n", '["a"]\n"delivery/lockstep" = "x"\n"delivery/lockstep" = "y"\n'])
def test_what_is_no_toml_is_told_where(text: str) -> None:
    with pytest.raises(ExpectationsError, match=r"^expected\.toml: it is not TOML: .*line \d") as error:
        read(text)
    assert "Traceback" not in str(error.value)


def entry(name: str, target: str = TARGET) -> Expectation:
    (found,) = read(f'["{target}"]\n"{name}" = "why"')
    return found


@pytest.mark.parametrize(
    ("name", "fields", "covers"),
    [
        ("delivery/lockstep", {}, True),
        ("delivery/lockstep", {"variant": "http10"}, True),
        ("delivery/lockstep", {"target": "litellm"}, False),
        ("delivery/lockstep", {"scenario": "truncation/no_hang"}, False),
        ("delivery/lockstep[chunked-512]", {}, True),
        ("delivery/lockstep[chunked-512]", {"variant": "http10"}, False),
        ("delivery/lockstep target=trio", {"loops": TRIO}, True),
        ("delivery/lockstep target=trio", {"loops": ASYNCIO}, False),
        ("delivery/lockstep target=trio", {"loops": pairing("trio", None, "trio")}, False),
        ("delivery/lockstep[chunked-512] upstream=trio,client=asyncio", {"loops": TRIO}, True),
        ("delivery/lockstep[chunked-512] upstream=trio,client=trio", {"loops": TRIO}, False),
    ],
)
def test_what_an_entry_covers(name: str, fields: dict[str, Any], covers: bool) -> None:
    assert entry(name).covers(failed(**fields)) is covers


def test_a_failure_that_is_covered_is_expected_and_nothing_else_is() -> None:
    known = [entry("delivery/lockstep[chunked-512]")]
    assert expected(failed(), known).expected
    assert not expected(failed(variant="http10"), known).expected
    for verdict in ("pass", "unsound", "blocked", "skipped"):
        assert not expected(result(verdict, target=TARGET), known).expected
    assert not expected(failed(), []).expected


def test_expected_failures_do_not_count_and_unexpected_ones_do() -> None:
    known = [entry("delivery/lockstep[chunked-512]")]
    assert exit_code([expected(failed(), known)]) == 0
    assert exit_code([expected(failed(), known)], strict=True) == 0
    assert exit_code([expected(failed(variant="http10"), known)]) == 1
    assert exit_code([expected(failed(), known), result("unsound", target=TARGET)]) == 3


def test_an_entry_is_stale_where_something_that_it_covers_passes() -> None:
    whole, part, other = entry("delivery/lockstep"), entry("delivery/lockstep[http10]"), entry("truncation/no_hang")
    results = [failed(), passed(variant="http10"), passed(variant="http10", loops=TRIO)]
    found = stale(results, [whole, part, other])
    assert [(s.expectation, len(s.passed)) for s in found] == [(whole, 2), (part, 2)]
    assert exit_code(results, stale=True) == 1


def test_what_was_not_run_or_not_judged_or_only_observed_makes_nothing_stale() -> None:
    results = [result(verdict, target=TARGET) for verdict in ("unsound", "blocked", "skipped")]
    assert stale([*results, passed(kind="observed"), passed(target="other")], [entry("delivery/lockstep")]) == []


def test_a_desired_claim_that_is_listed_and_passes_is_stale_too() -> None:
    assert stale([passed(kind="desired")], [entry("delivery/lockstep")])


def test_a_stale_entry_is_told_with_its_line_and_what_passes() -> None:
    results = [passed(loops=loops) for loops in (ASYNCIO, TRIO, *covering(("asyncio", "trio"))[2:])]
    (found,) = stale(results, [entry("delivery/lockstep")])
    assert found.text("known.toml") == (
        "STALE  known.toml:2: litellm/model: 'delivery/lockstep' is expected to fail, and passes: "
        "delivery/lockstep[chunked-512] (upstream=asyncio,target=asyncio,client=asyncio), "
        "delivery/lockstep[chunked-512] (upstream=trio,target=trio,client=asyncio), "
        "delivery/lockstep[chunked-512] (upstream=trio,target=asyncio,client=trio) and 1 more\n"
        "  remedy    remove this entry, or say which variants and loops still fail"
    )


def test_a_written_file_says_what_failed_in_as_few_entries_as_say_it() -> None:
    results = [
        failed(),
        failed(variant="http10"),
        failed(scenario="truncation/no_hang", variant="fin"),
        failed(scenario="truncation/no_hang", variant="fin", loops=TRIO),
        failed(scenario="truncation/no_hang", variant="reset", loops=TRIO),
        passed(scenario="truncation/no_hang", variant="reset"),
        passed(target="other"),
        failed(target="third", kind="observed"),
        failed(target="fourth", findings=()),
    ]
    assert write_expectations(results, KNOWN) == dedent(
        """\
        # Known failures, for `streamproof run --expect`. Say in each value why it is so.

        ["litellm/model"]
        "delivery/lockstep" = "stones"
        "truncation/no_hang[fin]" = "stones"
        "truncation/no_hang[reset] upstream=trio,target=trio,client=asyncio" = "stones"

        ["fourth"]
        "delivery/lockstep[chunked-512]" = ""
        """
    )


def test_what_was_known_keeps_its_reason_and_what_was_not_run_its_entry() -> None:
    known = read(
        """
        ["litellm/model"]
        "delivery/lockstep[chunked-512]" = "buffers (BerriAI/litellm#14891)"
        "truncation/no_hang[fin]" = "not run this time"
        "delivery/lockstep[http10]" = "is mended"
        [elsewhere]
        "truncation/no_hang" = "another target"
        """
    )
    assert write_expectations([failed(), passed(variant="http10")], KNOWN, known) == dedent(
        """\
        # Known failures, for `streamproof run --expect`. Say in each value why it is so.

        ["litellm/model"]
        "truncation/no_hang[fin]" = "not run this time"
        "delivery/lockstep[chunked-512]" = "buffers (BerriAI/litellm#14891)"

        ["elsewhere"]
        "truncation/no_hang" = "another target"
        """
    )


def test_nothing_that_failed_is_a_file_with_nothing_in_it() -> None:
    assert read(write_expectations([passed(), result("unsound")], KNOWN)) == []


VERDICTS = st.sampled_from(["pass", "fail", "fail", "unsound", "skipped"])
CELLS = list(product(((s, v) for s, variants in KNOWN.items() for v in variants), covering(("asyncio", "trio"))))


@properties
@given(
    st.text(min_size=1),
    st.text(),
    st.lists(VERDICTS, min_size=len(CELLS), max_size=len(CELLS)),
    st.booleans(),
)
def test_a_written_file_covers_just_what_failed(target: str, reason: str, said: list[str], external: bool) -> None:
    """Whatever the target is called and the finding says; and with it the same run is green."""
    results = [
        result(
            verdict,
            target=target,
            scenario=scenario,
            variant=variant,
            loops=next(iter(outside([loops]))) if external else loops,
            findings=(Finding("bread", reason),) if verdict == "fail" else (),
        )
        for verdict, ((scenario, variant), loops) in zip(said, CELLS, strict=True)
    ]
    if external:  # one verdict a cell
        results = list({(r.name, r.loops): r for r in results}.values())
    entries = read_expectations(write_expectations(results, KNOWN), "expected.toml", KNOWN)
    judged = [expected(r, entries) for r in results]
    assert [r for r in judged if r.verdict == "fail" and not r.expected] == []
    assert stale(judged, entries) == []
    assert all(any(entry.covers(r) for r in results if r.verdict == "fail") for entry in entries)
    lines = [entry.line for entry in entries]
    assert lines == list(range(4, 4 + len(lines)))


def test_what_is_no_character_is_written_as_a_question_mark() -> None:
    text = write_expectations([failed(findings=(Finding("bread", "stone\udc80"),))], KNOWN)
    assert '"stone?"' in text
    assert len(read(text)) == 1

"""What is said of a scenario is what its file says; the page in the documents is what the files say now."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from harness import catalogue
from harness.account import account
from harness.citation import link
from harness.cli import main
from harness.declared import catches, half_fixes, innocents, specimens
from harness.explain import ExplainError, select, text
from harness.scenario import HOME, load_scenarios

SCENARIOS = load_scenarios()


def test_the_page_in_the_documents_is_not_stale() -> None:
    stale = f"docs/catalogue.md is not what the files say: run {catalogue.COMMAND}"
    assert catalogue.FILE.read_text(encoding="utf-8") == catalogue.page(), stale


def test_the_page_has_every_scenario_and_every_proxy_of_ours() -> None:
    page = catalogue.page()
    assert re.findall(r"^### (\S+/\S+)$", page, re.MULTILINE) == list(SCENARIOS)
    for target in (*specimens(), *innocents()):
        kind, _, name = target.partition(":")
        assert f"\n| [{name}](../harness/{kind}s/{name}.py) | " in page
    assert len(re.findall(r"^\| \[\w+\].*", page.partition("half-fixes")[2].partition("## ")[0], re.MULTILINE)) == len(
        half_fixes()
    )


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_says_why_and_what_it_waits_for(name: str) -> None:
    told = account(name)
    assert told.about
    assert told.waits, "a staging that waits for nothing proves nothing"
    assert [specimen for specimen, _ in told.specimens] == [
        target.removeprefix("specimen:") for target in specimens() if name in catches(target)
    ]


def test_hints_are_those_that_a_judge_may_give_in_its_order() -> None:
    source = (HOME / "closure" / "clean_unwinding.py").read_text()
    hints = account("closure/clean_unwinding").hints
    assert len(hints) == 2
    assert [source.count(f'"{hint}"') for hint in hints] == [1, 1]
    assert source.index(hints[0]) < source.index(hints[1])


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("closure/body_arrives", "was the upstream's context closed before the body was iterated?"),  # one of two
        ("events/honoured", "the stream is named after the audio format, and players and SDKs take it for audio"),
        ("disconnect/silent_upstream", "nobody waits for `http.disconnect` while the next chunk is awaited"),
    ],
    ids=["a choice", "a name", "given to a helper"],
)
def test_hints_are_found_however_they_are_given(name: str, hint: str) -> None:
    assert account(name).hints == (hint,)


def test_what_a_helper_waits_for_is_waited_for() -> None:
    assert (
        "until the upstream sees its connection closed or reset by the target"
        in account("disconnect/silent_upstream").waits
    )


def test_a_scenario_as_it_is_told() -> None:
    told = account("truncation/no_hang")
    assert text(replace(told, specimens=told.specimens[:1])).splitlines() == [
        "truncation/no_hang   required",
        "  claim     An upstream cut never reaches the client as silence: its response ends.",
        "  about     The upstream dies; the client must not be left waiting.",
        "  cites     vitejs/vite#20712  https://github.com/vitejs/vite/issues/20712",
        "            cloudflare/workers-py#168  https://github.com/cloudflare/workers-py/issues/168",
        "  variants  fin, reset, malformed, short, after-head",
        "  staged by truncation/cut_is_an_error",
        "  needs     fidelity/answers",
        *(f"  {'waits' if i == 0 else '':<10}{wait}" for i, wait in enumerate(told.waits)),
        "  hint      the upstream's end was noticed by nobody who holds the client's connection",
        f"  catches   hangs_on_cut: {told.specimens[0][1]}",
        "  rerun     streamproof run -k 'truncation/no_hang[fin]'",
        "            streamproof run --target specimen:hangs_on_cut -k 'truncation/no_hang[fin]'",
    ]


def test_a_variant_of_another_kind_says_so_and_a_slow_one_how_it_runs() -> None:
    assert "unknown-key (observed)" in text(account("fidelity/request_body"))
    slow = next(name for name, scenario in SCENARIOS.items() if scenario.slow)
    assert "only with --slow" in text(account(slow))
    assert text(account(slow)).endswith(" --slow")


@pytest.mark.parametrize("given", ["delivery/lockstep", "delivery/lockstep[chunked-512]", "delivery/lockstep/"])
def test_a_name_is_taken_as_reports_print_it(given: str) -> None:
    assert select(given, SCENARIOS) == ["delivery/lockstep"]


def test_a_family_is_all_of_it() -> None:
    assert select("events", SCENARIOS) == [name for name in SCENARIOS if name.startswith("events/")]


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        ("no_hang", "did you mean truncation/no_hang?"),
        ("delivery/lockstop", "did you mean delivery/lockstep?"),
        ("zzz", "`streamproof list` shows them"),
    ],
)
def test_a_name_that_is_none_is_told_what_there_is(given: str, remedy: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ExplainError) as error:
        select(given, SCENARIOS)
    assert str(error.value) == f"{given!r}: there is no such scenario or family; {remedy}"
    assert main(["explain", given]) == 2
    assert capsys.readouterr().err == f"streamproof: {error.value}\n"


def test_the_command_prints_each_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "events/usage", "events", "events/usage[3-events]"]) == 0
    printed = capsys.readouterr().out
    assert re.findall(r"^(\S+/\S+)   \w+$", printed, re.MULTILINE) == ["events/usage", *[
        name for name in SCENARIOS if name.startswith("events/") and name != "events/usage"
    ]]  # fmt: skip


@pytest.mark.parametrize(
    ("citation", "address"),
    [
        ("BerriAI/litellm#14891", "https://github.com/BerriAI/litellm/issues/14891"),
        ("BerriAI/litellm#33976: review", "https://github.com/BerriAI/litellm/issues/33976"),
        ("RFC 9110, section 15.3.1: 200 OK", "https://www.rfc-editor.org/rfc/rfc9110#section-15.3.1"),
        ("RFC 9110, section 6.4: content is octets", "https://www.rfc-editor.org/rfc/rfc9110#section-6.4"),
        ("RFC 10036", "https://www.rfc-editor.org/rfc/rfc10036"),
        ("chimurai/http-proxy-middleware: appends", "https://github.com/chimurai/http-proxy-middleware"),
        ("a book/that nobody has", ""),
        ("somebody's word", ""),
    ],
)
def test_where_a_citation_leads(citation: str, address: str) -> None:
    assert link(citation) == address


def test_nearly_every_citation_leads_somewhere() -> None:
    """What is behind a claim can be read; a word without an address is the exception."""
    cites = [cite for scenario in SCENARIOS.values() for cite in scenario.cites]
    dead = [cite for cite in cites if not link(cite)]
    assert len(dead) * 20 < len(cites), dead


def test_the_links_of_the_page_within_the_project_lead_somewhere() -> None:
    for place in re.findall(r"\]\((\.\./[^)]+)\)", catalogue.page()):
        assert (Path(catalogue.FILE).parent / place).exists(), place

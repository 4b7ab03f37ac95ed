"""What people read: rows while it runs, failures with their picture, and a line that runs one of them again."""

from __future__ import annotations

import io
import re
import shlex
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from builders import (
    LOCKSTEP,
    PAIRING,
    at_client,
    blocked_lockstep,
    conversation,
    emissions,
    exchange,
    pairing,
    properties,
    receptions,
    record,
    result,
    up,
    wait,
)
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from harness.cli import _parser
from harness.loops import LOOPS, covering, parse_loops
from harness.report.terminal import CELL_WIDTH, NAME_WIDTH, Terminal, closing, failure_text, failures, rerun, skips
from harness.scenario import load_scenarios
from harness.target import Target, parse_target
from harness.verdict import Finding, Result, judged

WRONG = Finding("bread", "stones", "ask the baker")
ONE = pairing("asyncio", "asyncio", "asyncio")
TWO = pairing("trio", "trio", "asyncio")


def judge(subject: Any) -> Result:
    """As its own scenario judges it."""
    scenario = load_scenarios()[subject.scenario]
    return judged(scenario.claim, scenario.kind, scenario.id, scenario.judge, subject)


def test_a_failure_reads_as_the_architecture_says() -> None:
    """Claim, expected, actual, picture, hint, rerun; to the letter."""
    assert failure_text(judge(blocked_lockstep())) == (
        "FAIL  delivery/lockstep[chunked-512]   upstream on asyncio, proxy on trio, client on asyncio\n"
        "  claim     The client holds each chunk before the upstream sends the next.\n"
        "  expected  512 bytes at the client after chunk 0\n"
        "  actual    0 bytes; the proxy holds 512 (headers withheld too); they came once the upstream had gone on\n"
        "   0 |E────────────────────────────?|  never\n"
        "  hint      proxies that re-read a finished body, compress, or fill an 8 KB buffer look like this\n"
        "  rerun     streamproof run --target app:gateway:build -k 'delivery/lockstep[chunked-512]' "
        "--loops upstream=asyncio,target=trio,client=asyncio"
    )


def test_a_failure_without_a_chunk_held_back_shows_the_conversation() -> None:
    cut = exchange(
        LOCKSTEP, *emissions(LOCKSTEP), *receptions(LOCKSTEP), up(40, "finished", note="fin"), at_client(41, "ended")
    )
    subject = record(cut, waits=(wait("holds"), wait("over")), scenario="truncation/cut_is_an_error", variant="fin")
    assert failure_text(judge(subject)).splitlines() == [
        "FAIL  truncation/cut_is_an_error[fin]   upstream on asyncio, proxy on trio, client on asyncio",
        "  claim     An upstream cut never reaches the client as a clean end.",
        "  expected  the client sees an error",
        "  actual    the response ended (status 200, 1,536 bytes), as if that were all",
        "      0.0 ms  upstream  asked",
        "      1.0 ms  upstream  head_sent",
        "      1.5 ms  client    head_received  200",
        "      2.0 ms  upstream  emitted  512 bytes",
        "      2.5 ms  client    received  512 bytes",
        "     12.0 ms  upstream  emitted  512 bytes",
        "     12.5 ms  client    received  512 bytes",
        "     22.0 ms  upstream  emitted  512 bytes",
        "     22.5 ms  client    received  512 bytes",
        "     40.0 ms  upstream  finished  fin",
        "     41.0 ms  client    ended",
        "  hint      an exception of the upstream was swallowed and the response finished in good order",
        "  rerun     streamproof run --target app:gateway:build -k 'truncation/cut_is_an_error[fin]' "
        "--loops upstream=asyncio,target=trio,client=asyncio",
    ]


def test_several_findings_are_all_told_and_hints_come_behind_the_picture() -> None:
    found = (WRONG, Finding("water", "mud", "dig deeper"), Finding("light", "dusk"))
    lines = failure_text(result("fail", findings=found)).splitlines()
    assert [line[:12].strip() for line in lines[1:]] == ["claim", *["expected", "actual"] * 3, "hint", "hint", "rerun"]


def test_a_failure_without_a_record_has_no_picture() -> None:
    assert "|" not in failure_text(result("fail", findings=(WRONG,)))
    assert "|" not in failure_text(result("fail", findings=(WRONG,), record=record()))


def test_the_last_exchange_is_the_one_that_is_shown() -> None:
    """Where many came before it, as with slots, it is the one that went wrong."""
    first, last = conversation(), exchange(LOCKSTEP, at_client(7, "broke", note="ReadError: EPIPE"))
    text = failure_text(result("fail", findings=(WRONG,), record=record(first, last)))
    assert "ReadError: EPIPE" in text
    assert "finished" not in text


def test_failures_of_one_scenario_and_target_are_grouped_the_rest_by_name() -> None:
    def failed(variant: str, loops: Any = ONE, **fields: Any) -> Result:
        return result("fail", findings=(WRONG,), variant=variant, loops=loops, **fields)

    results = [
        failed("a"),
        failed("a", TWO),
        failed("b"),
        result("pass"),
        failed("b", TWO),
        failed("c"),
        failed("a", scenario="truncation/no_hang"),
        failed("a", target="app:other:build"),
    ]
    texts = [text for text, _ in failures(results)]
    assert [text.splitlines()[0].split("   ")[0] for text in texts] == [
        "FAIL  delivery/lockstep[a]",
        "FAIL  truncation/no_hang[a]",
        "FAIL  delivery/lockstep[a]",
    ]
    assert texts[0].splitlines()[-1] == (f"  also      on {TWO}, delivery/lockstep[b] ×2, delivery/lockstep[c]")
    assert not any("also" in text for text in texts[1:])


def test_a_long_list_of_others_is_cut() -> None:
    results = [result("fail", findings=(WRONG,), variant=f"v{i}") for i in range(10)]
    ((text, _),) = failures(results)
    names = ", ".join(f"delivery/lockstep[v{i}]" for i in range(1, 7))
    assert text.splitlines()[-1] == f"  also      {names}, and 3 more"


def test_what_could_not_be_judged_comes_last_one_text_a_reason() -> None:
    reason = "the target's process died (exit code 3). It printed last:\nboom"
    results = [
        result("unsound", reason=reason, variant="a"),
        result("unsound", reason=reason, variant="b"),
        result("fail", findings=(WRONG,)),
        result("unsound", reason="another"),
    ]
    texts = [text for text, _ in failures(results)]
    assert [text.split()[0] for text in texts] == ["FAIL", "UNSOUND", "UNSOUND"]
    assert texts[1] == (
        "UNSOUND  delivery/lockstep[a]   upstream on asyncio, proxy on trio, client on asyncio\n"
        "  the target's process died (exit code 3). It printed last:\n"
        "  boom\n"
        "  rerun     streamproof run --target app:gateway:build -k 'delivery/lockstep[a]' "
        "--loops upstream=asyncio,target=trio,client=asyncio\n"
        "  also      delivery/lockstep[b]"
    )


def test_what_is_blocked_is_told_once_with_what_blocks_it() -> None:
    reason = "fidelity/answers failed, without which this means nothing: status 502"
    texts = [text for text, _ in failures([result("blocked", reason=reason, variant=name) for name in ("a", "b")])]
    assert len(texts) == 1
    assert texts[0].startswith("BLOCKED  delivery/lockstep[a]   upstream on asyncio, proxy on trio, client on asyncio")
    assert f"\n  {reason}\n  rerun     streamproof run " in texts[0]
    assert texts[0].endswith("\n  also      delivery/lockstep[b]")


def test_passes_and_skips_have_no_text() -> None:
    assert failures([result("pass"), result("skipped", reason="no"), result("pass", findings=(WRONG,))]) == []


words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(words, st.sampled_from([(s.id, v) for s in load_scenarios().values() for v in s.variants]))
@properties
def test_a_rerun_line_reads_back_as_what_was_run(place: str, name: tuple[str, str]) -> None:
    """By a shell, and by our own command: whatever the path of the target, spaces and quotes too."""
    scenario, variant = name
    for loops in (pairing(*triple) for triple in product(LOOPS, repeat=3)):
        line = rerun(result("fail", target=f"app:{place}:build", scenario=scenario, variant=variant, loops=loops))
        program, *given_words = shlex.split(line)
        args = _parser().parse_args(given_words)
        assert program == "streamproof"
        assert [parse_target(text).app for text in args.target] == [f"{place}:build"]
        assert parse_loops(args.loops) == (loops,)
        assert args.select == f"{scenario}[{variant}]"


def test_a_rerun_line_keeps_the_server_if_it_is_not_the_usual_one() -> None:
    subject = replace(blocked_lockstep(), environment={"server": "uvicorn"})
    assert _parser().parse_args(shlex.split(rerun(judge(subject)))[1:]).server == "uvicorn"
    assert "--server" not in rerun(judge(blocked_lockstep()))


def show(*results: Result, target: str = "app:gateway:build", code: int = 0, **options: Any) -> str:
    """What a whole run prints."""
    file = io.StringIO()
    terminal = Terminal(Console(file=file, highlight=False, **options))
    terminal.start(len(results))
    terminal.heading(Target(target, ""), covering(LOOPS))
    for outcome in results:
        terminal.running(outcome.name)
        terminal.add(outcome)
    terminal.finish(code)
    return file.getvalue()


INDENT = NAME_WIDTH + 12


def row(scenario: str, kind: str) -> str:
    """How a row begins."""
    return f"{scenario:<{NAME_WIDTH}}{kind:<12}"


def cells(*texts: str) -> str:
    """The columns of a row, the last one without its padding."""
    return "".join(f"{text:<{CELL_WIDTH}}" for text in texts).rstrip()


def everywhere(verdict: str = "pass", **fields: Any) -> list[Result]:
    return [result(verdict, loops=loops, **fields) for loops in covering(LOOPS)]


def test_a_row_a_scenario_with_a_column_a_pairing() -> None:
    results = [
        *everywhere(variant="a"),
        *everywhere("fail", variant="b", findings=(WRONG,)),
        *everywhere("skipped", scenario="truncation/no_hang", kind="desired", reason="says so itself"),
    ]
    assert show(*results, code=1).splitlines()[:7] == [
        "",
        "app:gateway:build",
        f"{'upstream':>{INDENT - 2}}  " + cells("asyncio", "trio", "trio", "asyncio"),
        f"{'target':>{INDENT - 2}}  " + cells("asyncio", "trio", "asyncio", "trio"),
        f"{'client':>{INDENT - 2}}  " + cells("asyncio", "asyncio", "trio", "trio"),
        row("delivery/lockstep", "required") + cells(*["1 pass 1 fail"] * 4),
        row("truncation/no_hang", "desired") + cells(*["1 skipped"] * 4),
    ]


def test_a_row_whose_scenario_was_run_for_some_pairings_only_keeps_its_columns() -> None:
    text = show(result("pass", loops=covering(LOOPS)[0]), result("pass", loops=covering(LOOPS)[2]))
    assert row("delivery/lockstep", "required") + cells("1 pass", "", "1 pass") + "\n" in text


def test_a_target_without_a_loop_of_its_own_has_a_dash() -> None:
    file = io.StringIO()
    terminal = Terminal(Console(file=file))
    terminal.heading(Target("https://gateway", ""), (pairing("trio", None, "asyncio"),))
    assert file.getvalue().splitlines()[3] == f"{'target':>{INDENT - 2}}  -"


def test_the_version_of_a_target_is_shown() -> None:
    file = io.StringIO()
    Terminal(Console(file=file)).heading(Target("reference", "", "0.1.0"), (PAIRING,))
    assert file.getvalue().splitlines()[1] == "reference 0.1.0"


def test_an_interruption_prints_the_row_that_had_begun() -> None:
    """And says that there was more to come."""
    text = show(result("pass", loops=ONE), code=130)
    assert row("delivery/lockstep", "required") + "1 pass\n" in text
    assert re.search(r"\n1 verdict: 1 pass · 0 fail in \d+\.\d s: interrupted; this is what was known\n$", text)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (0, ": every claim that counts holds"),
        (1, ": a claim that counts does not hold"),
        (2, ""),
        (3, ": nothing failed, but something could not be judged"),
        (130, ": interrupted; this is what was known"),
    ],
)
def test_the_last_line_says_what_the_exit_code_means(code: int, says: str) -> None:
    line = closing([result("pass"), result("unsound"), result("unsound")], code, 12.34)
    plain = re.sub(r"\[[^]]*\]", "", line)
    assert plain == f"3 verdicts: 1 pass · 0 fail · 2 unsound in 12.3 s{says}"


def test_a_stale_expectation_is_not_called_a_claim_that_fails() -> None:
    line = closing([result("pass")], 1, 1, stale=True)
    assert line.endswith("in 1.0 s: an expected failure is none any more")


def test_expected_failures_are_known_in_the_row_and_counted_at_the_end() -> None:
    out = io.StringIO()
    terminal = Terminal(Console(file=out, width=200))
    terminal.heading(Target("app:gateway:build", "gateway:build"), (ONE,))
    for expected, variant in ((True, "a"), (True, "b"), (False, "c")):
        terminal.add(result("fail", loops=ONE, variant=variant, findings=(WRONG,), expected=expected))
    terminal.stale = ["STALE  known.toml:3: [gone]"]
    terminal.finish(1)
    said = out.getvalue()
    assert re.search(r"^delivery/lockstep +required +1 fail 2 known$", said, re.MULTILINE)
    assert said.count("FAIL  ") == 1
    assert "FAIL  delivery/lockstep[c]" in said
    assert "\nSTALE  known.toml:3: [gone]\n" in said
    assert "3 verdicts: 0 pass · 3 fail (2 expected) in " in said


def test_why_something_was_skipped_is_said_once_a_reason() -> None:
    results = [
        *everywhere("skipped", scenario="a/b", reason="no codec"),
        *everywhere("skipped", scenario="c/d", reason="no codec"),
        *everywhere("skipped", scenario="e/f", reason="says so itself"),
        result("pass"),
    ]
    assert skips(results) == ["skipped   a/b and 1 claim more: no codec", "skipped   e/f: says so itself"]
    assert "\nskipped   e/f: says so itself\n" in show(*results, code=0)


def test_where_everything_was_skipped_no_claim_is_said_to_hold() -> None:
    assert closing([result("skipped")], 0, 1).endswith("in 1.0 s: nothing was judged")


def test_where_there_is_no_terminal_the_text_is_plain() -> None:
    """No colour, no line of progress, nothing to wipe away: it goes into files and logs."""
    text = show(*everywhere("fail", findings=(WRONG,)), code=1)
    assert "\x1b" not in text
    assert "\r" not in text


def test_long_lines_are_not_broken() -> None:
    """A rerun line must be copied whole, a long path of a target too."""
    target = "app:" + "very/long/path/" * 12 + "gateway.py:build"
    text = show(*everywhere("fail", findings=(WRONG,), target=target), target=target, code=1, width=80)
    assert f"\n{target}\n" in text
    assert f"  rerun     {rerun(everywhere(target=target)[0])}\n" in text


COLOURED = re.compile(r"\x1b\[[0-9;]*m")


def test_a_terminal_gets_colours() -> None:
    text = show(*everywhere(), force_terminal=True, _environ={"TERM": "xterm-256color"})
    assert re.search(r"\x1b\[32m1 pass", text)
    assert "\x1b[32m" in text


def test_no_color_is_honoured() -> None:
    """https://no-color.org: no colour whatever the terminal can do; bold may stay."""
    results = [*everywhere("fail", findings=(WRONG,)), result("unsound", reason="?")]
    text = show(*results, code=1, force_terminal=True, _environ={"TERM": "xterm-256color", "NO_COLOR": "1"})
    codes = {int(n) for sequence in COLOURED.findall(text) for n in re.findall(r"\d+", sequence)}
    assert codes <= {0, 1, 2, 22}, "only bold, dim and reset"


@pytest.mark.parametrize(
    "place", ["app:rocket:build", "app:[bold]x[/bold].py:build", "app:speaker:build", "app::key::f"]
)
def test_names_are_printed_as_they_are(place: str) -> None:
    """Nothing in them is markup, nor a picture of a rocket: the line must work when it is pasted."""
    text = show(*everywhere("fail", findings=(WRONG,), target=place), target=place, code=1)
    assert f"\n{place}\n" in text
    assert shlex.split(text[text.index("rerun") :].splitlines()[0])[4] == place


def test_what_a_target_said_is_printed_as_it_is() -> None:
    finding = Finding("bread", "byte 0 is b'[red]:smile:[/red]'")
    assert "byte 0 is b'[red]:smile:[/red]'\n" in show(*everywhere("fail", findings=(finding,)), code=1)

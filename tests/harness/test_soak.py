"""A soak: its order is its seed's, its counts survive it, and what is wrong is never taken for something else."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from time import sleep
from types import SimpleNamespace
from typing import Any, cast

import pytest
from builders import result
from commands import COMMAND, GUARD, children, environment, streamproof

from harness.cli import main
from harness.declared import Cell
from harness.loops import LOOPS
from harness.run import Lab
from harness.scenario import load_scenarios
from harness.soak.disturb import busy, pauses
from harness.soak.draw import COSTLY, WEIGHTS, Deck, is_costly
from harness.soak.tally import Reached, StateError, Tally, begin, keep, rerun, resume
from harness.verdict import Result, Verdict

DECK = Deck()
CELL = "specimen:deaf disconnect/silent_upstream[reset] upstream=trio,target=asyncio,client=trio"


def reached(number: int, declared: Verdict = "pass", verdict: Verdict = "pass", cell: str = CELL) -> Reached:
    return Reached(number, cell, declared, verdict, 0.1)


# --- the order


def test_the_seed_and_the_number_say_what_is_drawn() -> None:
    once = [DECK.draw(7, number) for number in range(50)]
    assert [Deck().draw(7, number) for number in reversed(range(50))] == once[::-1]
    assert [DECK.draw(8, number) for number in range(50)] != once


def test_every_kind_of_target_and_every_pairing_is_drawn_about_as_often_as_it_should_be() -> None:
    draws = [DECK.draw(1, number) for number in range(3_000)]
    kinds = Counter("reference" if d.cell.target == "reference" else d.cell.target.split(":")[0] for d in draws)
    broken = sum(draw.cell.declared == "fail" for draw in draws)
    assert abs(kinds["reference"] - 30 * WEIGHTS["reference"]) < 150
    assert abs(kinds["innocent"] - 30 * WEIGHTS["innocent"]) < 150
    assert abs(broken - 30 * WEIGHTS["broken"]) < 100
    assert len({draw.cell.pairing for draw in draws}) == len(LOOPS) ** 3
    assert {draw.cell.scenario for draw in draws} <= set(load_scenarios())


def test_nothing_is_drawn_that_is_blocked_or_only_observed() -> None:
    cells = [cell for cells in DECK.kinds.values() for cell in cells]
    assert {cell.declared for cell in cells} == {"pass", "fail"}
    assert not [c for c in cells if load_scenarios()[c.scenario].kind_of(c.variant) == "observed"]


def test_a_specimen_always_has_an_app_of_its_own_others_often_have_company() -> None:
    draws = [DECK.draw(2, number) for number in range(500)]
    assert all(draw.fresh for draw in draws if draw.cell.target.startswith("specimen:"))
    others = [d for d in draws if not d.cell.target.startswith("specimen:")]
    assert {d.fresh for d in others if not load_scenarios()[d.cell.scenario].alone} == {True, False}
    assert {d.fresh for d in others if load_scenarios()[d.cell.scenario].alone} == {True}


def test_what_is_costly_is_drawn_seldom_and_is_drawn_also_where_there_is_nothing_else() -> None:
    deck = Deck(["reference"])
    draws = [deck.draw(1, number) for number in range(2_000)]
    costly = [cell for cell in deck.kinds["reference"] if is_costly(cell.scenario)]
    even = len(draws) * len(costly) / len(deck.kinds["reference"])
    assert 0 < sum(is_costly(draw.cell.scenario) for draw in draws) < even / 2
    assert Deck(holds=COSTLY[0]).draw(1, 1).cell.scenario == COSTLY[0]


def test_another_deck_has_another_name() -> None:
    assert Deck(["reference"]).name == Deck(["reference"]).name != Deck(["innocent:slow"]).name
    assert Deck(holds="lockstep").name != DECK.name


# --- the count


@pytest.mark.parametrize(
    ("declared", "verdict", "wrong"),
    [
        ("pass", "pass", False), ("fail", "fail", False), ("pass", "fail", True), ("fail", "pass", True),
        ("pass", "blocked", True), ("pass", "unsound", False), ("fail", "unsound", False), ("pass", "skipped", False),
    ],
)  # fmt: skip
def test_wrong_is_what_is_judged_and_not_as_declared(declared: Verdict, verdict: Verdict, wrong: bool) -> None:
    assert reached(1, declared, verdict).wrong is wrong


def test_none_wrong_of_many_is_no_promise_that_none_is() -> None:
    few, many = Tally(1, "d"), Tally(1, "d")
    for number in range(10_000):
        (few if number < 100 else many).add(reached(number))
    assert few.rate()[0] == many.rate()[0] == 0
    assert 0.02 < few.rate()[1] < 0.03
    assert 0.00025 < many.rate()[1] < 0.0003
    assert Tally(1, "d").rate() == (0, 1), "nothing is known of nothing"


def test_what_was_not_judged_is_in_no_rate() -> None:
    tally = Tally(1, "d")
    for number in range(10):
        tally.add(reached(number, verdict="unsound" if number < 8 else "fail" if number == 8 else "pass"))
    assert tally.rate()[0] == 0.5


def test_suspects_and_everything_unsound_are_listed() -> None:
    tally = Tally(3, "d")
    other = CELL.replace("upstream=trio", "upstream=asyncio")
    tally.add(reached(0, "fail", "pass"))
    tally.add(reached(1, "fail", "pass", other))
    tally.add(reached(2, "fail", "fail"))
    tally.add(replace(reached(3, "pass", "unsound", "reference a/b[c] l"), reason="it did not start\n"))
    assert tally.lines() == [
        "4 verdicts of seed 3: 1 fail, 2 pass, 1 unsound",
        "2 wrong: 6666.7 in 10,000, at most 9217.4 (95 %)",
        "  suspect  specimen:deaf disconnect/silent_upstream[reset]: 2 of 3 wrong; declared fail",
        f"           {rerun(CELL)}",
        "  unsound  reference a/b[c] l: it did not start",
    ]
    assert rerun(CELL) == (
        "streamproof run --target specimen:deaf -k 'disconnect/silent_upstream[reset]' "
        "--loops upstream=trio,target=asyncio,client=trio"
    )


# --- the state


def test_a_soak_is_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "soak.jsonl"
    begin(path, 5, "deck")
    for number in (0, 3, 1):
        keep(path, reached(number))
    again = resume(path, "deck")
    assert again.seed == 5
    assert list(again.reached.values()) == [reached(0), reached(3), reached(1)]
    assert list(again.missing(6)) == [2, 4, 5]


def test_a_line_that_was_cut_is_reached_again(tmp_path: Path) -> None:
    path = tmp_path / "soak.jsonl"
    begin(path, 5, "deck")
    keep(path, reached(0))
    keep(path, reached(1))
    path.write_text(path.read_text()[:-20])
    assert list(resume(path, "deck").missing(3)) == [1, 2]
    keep(path, reached(1))
    assert list(resume(path, "deck").missing(3)) == [2]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"schema": 1, "seed": 1, "deck": "other"}\n', "field 'deck' differs: other scenarios, targets or -k; begin"),
        ('{"schema": 2, "seed": 1, "deck": "deck"}\n', "field 'schema' is 2, this version goes on with 1"),
        ("", "its first line is none of a soak; name another file"),
        ("[]\n", "its first line is none of a soak; name another file"),
        ('{"results": []}\n', "its first line is none of a soak; name another file"),
    ],
)
def test_a_state_that_is_none_or_anothers_is_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "soak.jsonl"
    path.write_text(text)
    with pytest.raises(StateError) as error:
        resume(path, "deck")
    assert str(error.value).startswith(f"--state {str(path)!r}: {says}")


def test_hours_of_soaking_are_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "soak.jsonl"
    begin(path, 5, "deck")
    keep(path, reached(0))
    with pytest.raises(StateError, match="there is one; add --resume to go on, or name another"):
        begin(path, 5, "deck")
    assert len(resume(path, "deck").reached) == 1
    with pytest.raises(StateError, match="without --resume a new one is begun"):
        resume(tmp_path / "none.jsonl", "deck")


# --- the command, with verdicts that are made up


def soak(monkeypatch: pytest.MonkeyPatch, verdict: Callable[[Cell], Result], *words: str) -> tuple[int, str]:
    """Exit code and output of a soak whose cells come out like this."""
    monkeypatch.setattr(Cell, "reach", lambda cell, lab, fresh: verdict(cell))
    output = io.StringIO()
    with redirect_stdout(output):
        code = main(["soak", "--crew", "3", *words])
    return code, output.getvalue()


def as_declared(cell: Cell) -> Result:
    return result(cell.declared, target=cell.target, scenario=cell.scenario, variant=cell.variant, loops=cell.pairing)


def test_verdicts_as_declared_are_all_there_is_to_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    code, output = soak(monkeypatch, as_declared, "--verdicts", "150", "--seed", "9")
    assert code == 0
    assert output.startswith("soak of seed 9, state in soak.jsonl\n")
    assert "100 verdicts, 0 wrong, 0 unsound\n" in output
    assert "\n150 verdicts of seed 9: " in output
    assert "\n0 wrong: 0.0 in 10,000, at most " in output
    lines = [json.loads(line) for line in Path("soak.jsonl").read_text().splitlines()]
    assert sorted(line["number"] for line in lines[1:]) == list(range(150))


def test_it_goes_on_where_it_was_and_with_its_own_seed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    drawn: list[Cell] = []

    def counted(cell: Cell) -> Result:
        drawn.append(cell)
        return as_declared(cell)

    soak(monkeypatch, counted, "--verdicts", "20", "--seed", "9")
    code, output = soak(monkeypatch, counted, "--verdicts", "50", "--resume")
    assert code == 0
    assert "\n50 verdicts of seed 9: " in output
    assert "\n30 of them now, " in output
    assert Counter(drawn) == Counter(DECK.draw(9, number).cell for number in range(50))


def test_a_wrong_verdict_is_told_whole_and_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    guilty = DECK.draw(1, 5).cell

    def verdict(cell: Cell) -> Result:
        other = "fail" if cell.declared == "pass" else "pass"
        return replace(as_declared(cell), verdict=other) if cell == guilty else as_declared(cell)

    code, output = soak(monkeypatch, verdict, "--verdicts", "20")
    assert code == 1
    assert f"\nWRONG, declared {guilty.declared}: " in output
    assert f"  suspect  {guilty.target} {guilty.scenario}[{guilty.variant}]: " in output


def test_what_could_not_be_judged_is_neither_wrong_nor_well(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)

    def verdict(cell: Cell) -> Result:
        return replace(as_declared(cell), verdict="unsound", reason="it did not start")

    code, output = soak(monkeypatch, verdict, "--verdicts", "4")
    assert code == 3
    assert output.count(": it did not start\n") == 4
    assert "\n0 wrong: " in output


def test_a_selection_of_nothing_is_bad_usage(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["soak", "-k", "unicorn", "--state", str(tmp_path / "s")]) == 2
    assert "nothing of ours is selected by -k 'unicorn'" in capsys.readouterr().err
    assert main(["soak", "--target", "specimen:unicorn", "--state", str(tmp_path / "s")]) == 2
    assert not (tmp_path / "s").exists()


# --- the command as it is, and what gets in its way


def test_a_soak_of_a_few(tmp_path: Path) -> None:
    words = ("--target", "reference", "--target", "specimen:masks_cut", "-k", "cut_is_an_error")
    done = streamproof("soak", *words, "--verdicts", "12", "--busy", "1", "--pauses", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\n12 verdicts of seed 1: " in done.stdout
    assert len((tmp_path / "soak.jsonl").read_text().splitlines()) == 13


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_prints_what_is_known_and_leaves_no_process(tmp_path: Path, how: signal.Signals) -> None:
    process = subprocess.Popen(
        [*COMMAND, "soak", "--verdicts", "100000", "--busy", "1", "--crew", "4", "--target", "reference"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    state = tmp_path / "soak.jsonl"
    with process:
        try:
            while process.poll() is None and (not state.exists() or state.read_text().count("\n") < 3):
                sleep(0.05)
            started = children(process.pid)
            process.send_signal(how)
            output, _ = process.communicate(timeout=GUARD)
        finally:
            process.kill()
    assert process.returncode == 130, output
    assert " verdicts of seed 1: " in output
    assert "\ninterrupted; --state soak.jsonl --resume goes on\n" in output
    assert len(started) >= 2, "the child with the target, and the one that keeps a core busy"
    assert not [pid for pid in started if Path(f"/proc/{pid}").exists()]


def test_busy_processes_end_with_the_block() -> None:
    before = set(children(os.getpid()))
    with busy(2):
        burners = set(children(os.getpid())) - before
        assert len(burners) == 2
    assert not set(children(os.getpid())) & burners


def test_a_child_is_stopped_now_and_then_and_runs_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.soak.disturb.BREATH", (0.0, 0.05))
    monkeypatch.setattr("harness.soak.disturb.PAUSE", (0.05, 0.1))
    sleeper = subprocess.Popen(["sleep", "1000"])
    seen: set[str] = set()

    def state() -> str:
        letter = Path(f"/proc/{sleeper.pid}/stat").read_text().rpartition(")")[2].split()[0]
        return "stopped" if letter in "Tt" else "running"

    lab = SimpleNamespace(host_of=lambda loop: SimpleNamespace(process=sleeper, state=state))
    taken: list[float] = []
    try:
        with pauses(cast(Lab, lab), 1, taken):
            while len(taken) < 5:
                seen.add(state())
        assert seen == {"running", "stopped"}
        assert all(0.05 <= seconds <= 0.1 for seconds in taken)
        assert state() == "running"
    finally:
        sleeper.kill()
        sleeper.wait()


def test_no_child_no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.soak.disturb.BREATH", (0.0, 0.01))
    asked: list[Any] = []
    taken: list[float] = []
    with pauses(cast(Lab, SimpleNamespace(host_of=asked.append)), 1, taken):
        while len(asked) < 5:
            sleep(0.01)
    assert taken == []
    assert set(asked) <= set(LOOPS)

"""Results as text: a row a scenario while it runs, then what failed and how to see it again.

Plain where the output is no terminal, and with NO_COLOR; a line of progress only where it can be wiped away.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from time import monotonic

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from harness.evidence import count
from harness.loops import STATIONS, Pairing
from harness.record import Record
from harness.target import Target
from harness.timeline import timeline, transcript
from harness.verdict import VERDICTS, Result, Verdict, summary

STYLES: dict[Verdict, str] = {
    "pass": "green",
    "fail": "bold red",
    "unsound": "yellow",
    "blocked": "yellow",
    "skipped": "dim",
}
NAME_WIDTH = 32
CELL_WIDTH = 16
MOST_ALSO = 6


class Terminal:
    """Told of each result as it comes."""

    def __init__(self, console: Console, quiet: bool = False) -> None:
        self.console = console
        self.began = monotonic()
        self.results: list[Result] = []
        self.stale: list[str] = []
        """What is to be said of expectations that are not so any more."""
        self._row: list[Result] = []
        self._heading: tuple[str, tuple[Pairing, ...]] | None = None
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("", total=None)

    def start(self, total: int) -> None:
        self._progress.update(self._task, total=total)
        self._progress.start()

    def running(self, name: str) -> None:
        self._progress.update(self._task, description=escape(name))

    def preparing(self, line: str) -> None:
        """What goes on before a target stands: its installation, its start."""
        self._progress.update(self._task, description=escape(line[: self.console.width // 2]))
        if not self.console.is_terminal and line.startswith(("making", "starting", "waiting", "clearing")):
            self._print(line, "dim")

    def heading(self, target: Target, pairings: tuple[Pairing, ...]) -> None:
        """The columns of the rows to come."""
        self._flush()
        self._heading = (target.name, pairings)
        title = f"{target.name} {target.version}".rstrip()
        self._print(f"\n{title}", "bold")
        for station in STATIONS:
            cells = "".join(f"{p.to_json()[station] or '-':<{CELL_WIDTH}}" for p in pairings)
            self._print(f"{station:>{NAME_WIDTH + 10}}  {cells}".rstrip(), "dim")

    def add(self, result: Result) -> None:
        """A result; rows are printed whole, when the next one begins."""
        if self._row and self._row[0].scenario != result.scenario:
            self._flush()
        self._row.append(result)
        self.results.append(result)
        self._progress.advance(self._task)

    def finish(self, exit_code: int) -> None:
        """Everything that is known, in the end or at an interruption."""
        self._flush()
        self._progress.stop()
        for text, style in [*failures(self.results), *((text, "bold red") for text in self.stale)]:
            self._print("")
            self._print(text, style)
        self._print("")
        for text in skips(self.results):
            self._print(text, "dim")
        said = closing(self.results, exit_code, monotonic() - self.began, bool(self.stale))
        self.console.print(said, soft_wrap=True)

    def _flush(self) -> None:
        row, self._row = self._row, []
        if not row or self._heading is None:
            return
        line = f"{row[0].scenario:<{NAME_WIDTH}}{row[0].kind:<10}  "
        for pairing in self._heading[1]:
            cells = [result for result in row if result.loops == pairing]
            counts = Counter(result.verdict for result in cells if not result.expected)
            known = sum(result.expected for result in cells)
            text = " ".join(
                [*(f"{counts[v]} {v}" for v in VERDICTS if counts[v]), *([f"{known} known"] if known else [])]
            )
            style = next((STYLES[v] for v in ("fail", "unsound", "blocked", "skipped", "pass") if counts[v]), "")
            cell = f"[{style}]{text}[/{style}]" if style else text
            line += cell + " " * max(1, CELL_WIDTH - len(text))
        self.console.print(line.rstrip(), highlight=False, soft_wrap=True)

    def _print(self, text: str, style: str = "") -> None:
        self.console.print(text, style=style, markup=False, emoji=False, highlight=False, soft_wrap=True)


def closing(results: Sequence[Result], exit_code: int, seconds: float, stale: bool = False) -> str:
    """The last line: counts, and what the exit code says. `stale`: an expected failure now passes."""
    counts = summary(results)
    said = " · ".join(
        f"[{STYLES[v]}]{counts[v]} {v}[/{STYLES[v]}]" for v in VERDICTS if counts[v] or v in ("pass", "fail")
    )
    if known := sum(result.expected for result in results):
        said += f" ({known} expected)"
    holds = "nothing unexpected" if known else "every claim that counts holds"
    meaning = {
        0: holds if counts["pass"] or counts["fail"] else "nothing was judged",
        1: "an expected failure is none any more" if stale else "a claim that counts does not hold",
        3: "nothing failed, but something could not be judged",
        130: "interrupted; this is what was known",
    }.get(exit_code, "")
    return f"{count(len(results), 'verdict')}: {said} in {seconds:.1f} s{': ' + meaning if meaning else ''}"


def failures(results: Iterable[Result]) -> list[tuple[str, str]]:
    """The first failure of each target and scenario in full, others of its kind by name; then what was not judged."""
    groups: dict[tuple[str, str], list[Result]] = {}
    not_judged: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        if result.verdict == "fail" and not result.expected:
            groups.setdefault((result.target, result.scenario), []).append(result)
        elif result.verdict in ("unsound", "blocked") and not result.expected:
            not_judged.setdefault((result.verdict.upper(), result.reason), []).append(result)
    texts = [(failure_text(first) + _also(first, others), "") for first, *others in groups.values()]
    for (word, reason), [first, *others] in not_judged.items():
        lines = [f"{word}  {first.name}   {_where(first)}", *(f"  {line}" for line in reason.splitlines())]
        texts.append(("\n".join([*lines, f"  rerun     {rerun(first)}"]) + _also(first, others), "yellow"))
    return texts


def skips(results: Iterable[Result]) -> list[str]:
    """Why something was skipped: a line for each reason, with the claims that it kept from being judged."""
    reasons: dict[str, dict[str, None]] = {}
    for result in results:
        if result.verdict == "skipped" and result.reason:
            reasons.setdefault(result.reason, {})[result.scenario] = None
    return [f"skipped   {first}{_more(others)}: {reason}" for reason, (first, *others) in reasons.items()]


def _more(others: Sequence[str]) -> str:
    return f" and {count(len(others), 'claim')} more" if others else ""


def failure_text(result: Result) -> str:
    """Claim, expected, actual, picture, hint, rerun."""
    lines = [f"FAIL  {result.name}   {_where(result)}", f"  claim     {result.claim}"]
    for finding in result.findings:
        lines += [f"  expected  {finding.expected}", f"  actual    {finding.actual}"]
    if not result.staged:
        lines.append("  staged    no: not every state that was to be reached first was reached")
    if result.record:
        lines += [f"  {line}" for line in _picture(result, result.record)]
    lines += [f"  hint      {hint}" for hint in dict.fromkeys(finding.hint for finding in result.findings) if hint]
    return "\n".join([*lines, f"  rerun     {rerun(result)}"])


def _picture(result: Result, record: Record) -> list[str]:
    """The chunks where one was held back, else the whole conversation; of the last exchange."""
    if not record.exchanges:
        return []
    exchange = record.exchanges[-1]
    missed = record.missed("holds")
    blocked = missed is not None and any(finding.kind == "blocked" for finding in result.findings)
    return (timeline(exchange, missed.ended) if blocked and missed else []) or transcript(exchange)


def rerun(result: Result) -> str:
    """A command that shows this one result again."""
    server = result.record.environment.get("server", "hypercorn") if result.record else "hypercorn"
    words = ["streamproof", "run", "--target", result.target, "-k", result.name, "--loops", str(result.loops)]
    words += ["--server", server] if server not in ("", "hypercorn") else []
    options = result.record.environment.get("options", "") if result.record else ""
    return " ".join([shlex.join(words), *([options] if options else [])])


def _where(result: Result) -> str:
    names = {"upstream": "upstream", "target": "proxy", "client": "client"}
    return ", ".join(f"{names[station]} on {loop}" for station, loop in result.loops.to_json().items() if loop)


def _also(first: Result, others: Sequence[Result]) -> str:
    """The others by name, each with how often; the first's own name with the loops on which it came again."""
    if not others:
        return ""
    again = [str(result.loops) for result in others if result.name == first.name]
    names = Counter(result.name for result in others if result.name != first.name)
    said = [f"on {'; on '.join(again)}"] if again else []
    said += [f"{name} ×{times}" if times > 1 else name for name, times in names.items()]
    more = [f"and {len(said) - MOST_ALSO} more"] if len(said) > MOST_ALSO else []
    return f"\n  also      {', '.join([*said[:MOST_ALSO], *more])}"

"""`streamproof judge`: verdicts on traces, reached again without the target."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from harness.reach import blocked_among
from harness.record import TraceError
from harness.report.document import document
from harness.report.terminal import Terminal
from harness.scenario import Scenario, load_scenarios
from harness.target import Target
from harness.trace import find, load
from harness.usage import Commands, json_writer
from harness.verdict import Result, exit_code, judged


def register(commands: Commands) -> None:
    """The command and its options."""
    judge = commands.add_parser(
        "judge", help="judge traces again", description="Judge traces again, without the target."
    )
    judge.set_defaults(command=_judge)
    judge.add_argument("traces", nargs="+", type=Path, metavar="TRACE", help="a file, or a folder of --trace")
    judge.add_argument("--json", type=Path, metavar="FILE", help="write the results as JSON")
    judge.add_argument("--strict", action="store_true", help="let a desired claim that fails count too")


def _judge(args: argparse.Namespace) -> int:
    write_json = json_writer(args.json)
    scenarios = load_scenarios()
    terminal = Terminal(Console(highlight=False))
    each = [result for path in find(args.traces) for result in _judge_trace(path, scenarios)]
    results = blocked_among(each, scenarios)
    by_target: dict[str, list[Result]] = {}
    for result in results:
        by_target.setdefault(result.target, []).append(result)
    for name, group in by_target.items():
        terminal.heading(Target(name, ""), tuple(dict.fromkeys(result.loops for result in group)))
        for result in sorted(group, key=lambda result: result.scenario):
            terminal.add(result)
    code = exit_code(results, strict=args.strict)
    terminal.finish(code)
    write_json(document([Target(name, "") for name in by_target], results, code))
    return code


def _judge_trace(path: Path, scenarios: Mapping[str, Scenario]) -> list[Result]:
    record = load(path)
    judges = [scenario for scenario in scenarios.values() if scenario.staging == record.scenario]
    if not judges:
        raise TraceError(f"trace {path}: it is of scenario {record.scenario!r}, which this version does not have")
    return [judged(s.claim, s.kind_of(record.variant), s.id, s.judge, record) for s in judges]

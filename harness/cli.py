"""`streamproof`: run scenarios against proxies, list what there is, judge traces again."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from harness import explain, judge_command, run_command
from harness.endpoint import add_endpoint
from harness.expectations import ExpectationsError
from harness.hosting import MissingError
from harness.loops import LoopsError
from harness.probe import add_probe_arguments, probe_command
from harness.record import TraceError
from harness.scenario import ScenarioError, load_scenarios
from harness.showroom import show_targets
from harness.soak import command as soak
from harness.soak.tally import StateError
from harness.target import TargetError
from harness.usage import INTERRUPTED, OK, USAGE, UsageError

MISTAKES = (
    *(UsageError, TargetError, LoopsError, MissingError, TraceError),
    *(ScenarioError, ExpectationsError, StateError, explain.ExplainError),
)
"""What is said in one line, with exit code 2."""


def main(argv: Sequence[str] | None = None) -> int:
    """The `streamproof` command; returns its exit code (see README, "Exit codes")."""
    args = _parser().parse_args(argv)
    try:
        return int(args.command(args))
    except MISTAKES as error:
        print(f"streamproof: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        print("streamproof: interrupted", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="streamproof", description="Does a proxy hand a stream on as it arrives, close it once, and let go of it?"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run_command.register(commands)
    targets = commands.add_parser("targets", help="list the presets", description="List the proxies known by name.")
    targets.set_defaults(command=lambda args: show_targets())
    probe = commands.add_parser(
        "probe", help="look at one stream", description="Ask a speech API for one stream and say how it arrives."
    )
    probe.set_defaults(command=probe_command)
    add_probe_arguments(probe)
    add_endpoint(probe, "of the request")
    show = commands.add_parser("list", help="list the scenarios", description="List the scenarios.")
    show.set_defaults(command=_list)
    judge_command.register(commands)
    explain.register(commands)
    soak.register(commands)
    return parser


def _list(args: argparse.Namespace) -> int:
    for scenario in load_scenarios().values():
        print(f"{scenario.id:<28} {scenario.kind:<9} {scenario.claim}")
        print(f"{'':<28} {'':<9} {', '.join(scenario.variants)}")
    return OK


if __name__ == "__main__":
    sys.exit(main())

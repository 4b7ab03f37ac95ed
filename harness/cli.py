"""`streamproof`: run scenarios against proxies, list what there is, judge traces again."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console

from harness import explain
from harness.endpoint import add_endpoint, endpoint_of, options
from harness.expectations import Expectation, ExpectationsError, read_expectations, stale, write_expectations
from harness.far_upstream import FarUpstream
from harness.hosting import Host, MissingError, StartError
from harness.inline import InlineHost
from harness.loops import LOOPS, Loop, LoopsError, Pairing, parse_loops
from harness.mounts import Elsewhere
from harness.probe import add_probe_arguments, probe_command
from harness.reach import blocked_among
from harness.record import Record, TraceError
from harness.report.document import document
from harness.report.terminal import Terminal
from harness.run import Lab
from harness.scenario import Scenario, ScenarioError, load_scenarios
from harness.servers import LOOPS_OF_SERVER, SERVERS
from harness.showroom import show_targets, versioned
from harness.soak import command as soak
from harness.soak.tally import StateError
from harness.suite import Plan, Suite, run_suite
from harness.target import UNSAID, Target, TargetError, parse_targets
from harness.trace import find, load, save
from harness.verdict import Result, exit_code, judged

OK, FAILED, USAGE, UNSOUND, INTERRUPTED = 0, 1, 2, 3, 130


class UsageError(Exception):
    """Something in the command cannot be done; the message says what and what would do."""


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
    run = commands.add_parser("run", help="run scenarios against proxies", description="Run scenarios against proxies.")
    run.set_defaults(command=_run)
    run.add_argument(
        "--target",
        action="append",
        metavar="T",
        help="'reference' (the default), 'app:MODULE_OR_FILE:FACTORY', \"cmd:gateway --port {port} --upstream "
        "{upstream}\", a base URL, a preset (see `streamproof targets`), or 'specimen:NAME'; may be given again",
    )
    add_endpoint(run, "of an app:, cmd: or URL target")
    run.add_argument(
        "--upstream-bind",
        metavar="HOST:PORT",
        help="where our upstream listens for a URL target, which must have been told so",
    )
    run.add_argument(
        "--upstream-control",
        metavar="URL",
        help="the control URL of a fake upstream that runs already, for a URL target that it serves; "
        "its token, if it has one, is read from STREAMPROOF_CONTROL_TOKEN",
    )
    run.add_argument(
        "--loops",
        default="asyncio,trio",
        metavar="L",
        help="asyncio, trio, both (the default: a covering set of pairings), or one exact pairing: "
        "upstream=asyncio,target=trio,client=asyncio",
    )
    run.add_argument(
        "--server",
        choices=sorted(SERVERS),
        default="hypercorn",
        help="what an app is put on: hypercorn (the default), or uvicorn, which runs on asyncio only",
    )
    run.add_argument(
        "--inline",
        action="store_true",
        help="host apps in this process: breakpoints hold, and failures say who opened a context and never closed it",
    )
    run.add_argument("--target-loops", metavar="L", help="the loops that the target can run on, if not both")
    run.add_argument("-k", dest="select", default="", metavar="EXPR", help="only what matches, as in pytest")
    run.add_argument("--quick", action="store_true", help="the first variant of each scenario, each loop with itself")
    run.add_argument("--slow", action="store_true", help="also the scenarios that take minutes")
    run.add_argument("--strict", action="store_true", help="let a desired claim that fails count too")
    run.add_argument("--expect", type=Path, metavar="FILE", help="the failures that are known; red only for news")
    run.add_argument("--write-expect", type=Path, metavar="FILE", help="write what fails now, for --expect")
    run.add_argument("--json", type=Path, metavar="FILE", help="write the results as JSON")
    run.add_argument("--junit", type=Path, metavar="FILE", help="write the results as JUnit XML")
    run.add_argument("--trace", type=Path, metavar="DIR", help="write what both ends saw, a file a run")
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
    judge = commands.add_parser(
        "judge", help="judge traces again", description="Judge traces again, without the target."
    )
    judge.set_defaults(command=_judge)
    judge.add_argument("traces", nargs="+", type=Path, metavar="TRACE", help="a file, or a folder of --trace")
    judge.add_argument("--json", type=Path, metavar="FILE", help="write the results as JSON")
    judge.add_argument("--strict", action="store_true", help="let a desired claim that fails count too")
    explain.register(commands)
    soak.register(commands)
    return parser


def _run(args: argparse.Namespace) -> int:
    targets = _targets(args)
    pairings = _pairings(args.loops, args.quick, hosted=any(target.app for target in targets))
    scenarios = tuple(s for s in load_scenarios().values() if args.slow or not s.slow)
    if find_spec(args.server) is None:
        raise UsageError(f"--server {args.server!r}: it is not installed; pip install {args.server}")
    expectations = _expectations(args.expect)
    write_json = _json_writer(args.json)
    _check_writable("--write-expect", args.write_expect)
    _check_writable("--junit", args.junit)
    on_record = _tracer(args.trace)
    terminal = Terminal(Console(highlight=False))
    elsewhere, upstream_loop = _elsewhere(args)
    host = InlineHost if args.inline else Host
    with Lab(args.server, elsewhere, terminal.preparing, shlex.join(options(args)), host) as lab:
        described = tuple((target, _loops_of(lab, target, args.target_loops)) for target in targets)
        plan = Plan(
            described,
            pairings,
            scenarios,
            args.select,
            args.quick,
            args.junit,
            on_record,
            expectations,
            upstream_loop,
        )
        suite = Suite(plan, lab, terminal)
        pytest_code = run_suite(suite)
    results = terminal.results
    terminal.stale = [entry.text(str(args.expect)) for entry in stale(results, expectations)]
    if pytest_code == 4:  # pytest has said what is wrong with -k
        return USAGE
    if not results and pytest_code in (0, 5):
        raise UsageError(f"no scenario is selected by -k {args.select!r}; `streamproof list` shows their names")
    code = INTERRUPTED if pytest_code == 2 else exit_code(results, strict=args.strict, stale=bool(terminal.stale))
    if suite.broken and code in (OK, USAGE):
        code = UNSOUND
    terminal.finish(code)
    write_json(document(targets, results, code))
    if args.write_expect and code != INTERRUPTED:  # half a list of what is known would look like all of it
        args.write_expect.write_text(write_expectations(results, _variants(), expectations), encoding="utf-8")
    if suite.broken:
        print("streamproof: this is our own fault, please report it:", *suite.broken, sep="\n", file=sys.stderr)
    return code


def _list(args: argparse.Namespace) -> int:
    for scenario in load_scenarios().values():
        print(f"{scenario.id:<28} {scenario.kind:<9} {scenario.claim}")
        print(f"{'':<28} {'':<9} {', '.join(scenario.variants)}")
    return OK


def _judge(args: argparse.Namespace) -> int:
    write_json = _json_writer(args.json)
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


def _targets(args: argparse.Namespace) -> tuple[Target, ...]:
    names = args.target or ["reference"]
    endpoint = endpoint_of(args)
    targets = tuple({t.name: versioned(t) for name in names for t in parse_targets(name, endpoint)}.values())
    elsewhere = [target for target in targets if target.url]
    if args.upstream_bind and args.upstream_control:
        raise UsageError("--upstream-bind and --upstream-control: give one; the upstream is ours, or runs already")
    if elsewhere and not (args.upstream_bind or args.upstream_control):
        raise UsageError(
            "--upstream-bind is missing: a proxy that runs elsewhere must know our upstream before it starts; choose "
            "an address, as in --upstream-bind 127.0.0.1:9900, and give the proxy http://127.0.0.1:9900/v1"
        )
    if not elsewhere and (args.upstream_bind or args.upstream_control):
        raise UsageError("--upstream-bind and --upstream-control go with a URL target; any other gets its own upstream")
    if endpoint != UNSAID and not any(target.takes_options for target in targets):
        raise UsageError(
            "--header, --path, --model and --voice go with app:, cmd: and URL targets; a preset has its own"
        )
    return targets


def _elsewhere(args: argparse.Namespace) -> tuple[Elsewhere | None, Loop | None]:
    """Where a URL target finds its upstream, and the loop of one that runs already."""
    if args.upstream_bind:
        return Elsewhere(bind=_bind(args.upstream_bind)), None
    if args.upstream_control:
        token = os.environ.get("STREAMPROOF_CONTROL_TOKEN")
        elsewhere = Elsewhere(control_url=args.upstream_control, token=token)
        try:
            with FarUpstream(args.upstream_control, token) as upstream:
                return elsewhere, upstream.loop
        except StartError as error:
            raise UsageError(f"--upstream-control {args.upstream_control!r}: {error}") from None
    return None, None


def _bind(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise UsageError(f"--upstream-bind {text!r}: write HOST:PORT, as in 127.0.0.1:9900")
    return host.strip("[]"), int(port)


def _expectations(path: Path | None) -> list[Expectation]:
    if path is None:
        return []
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--expect {str(path)!r}: {getattr(error, 'strerror', error)}") from None
    return read_expectations(text, str(path), _variants())


def _variants() -> dict[str, tuple[str, ...]]:
    return {scenario.id: tuple(scenario.variants) for scenario in load_scenarios().values()}


def _pairings(text: str, quick: bool, hosted: bool) -> tuple[Pairing, ...]:
    pairings = parse_loops(text)
    if hosted and any(pairing.target is None for pairing in pairings):
        raise LoopsError(f"--loops {text!r}: say target=… too; it runs in a process of ours")
    if quick and len(pairings) > 1:
        return tuple(Pairing(loop, loop, loop) for loop in LOOPS)
    return pairings


def _loops_of(lab: Lab, target: Target, said: str | None) -> tuple[Loop, ...]:
    if not target.app:
        return ()
    if said is not None:
        words = said.split(",")
        if not words or any(word not in LOOPS for word in words):
            raise LoopsError(f"--target-loops {said!r}: give {' or '.join(LOOPS)}, or both with a comma")
        return tuple(loop for loop in LOOPS_OF_SERVER[lab.server] if loop in words)
    try:
        return lab.loops_of(target)
    except MissingError as error:
        raise UsageError(f"--target {target.name!r}: {error}") from None
    except StartError:
        return LOOPS_OF_SERVER[lab.server]  # it will not start either; each result then says why


def _json_writer(path: Path | None) -> Callable[[object], object]:
    """A function that writes the file. The place is tried now: the end is a bad time to learn that it is not there."""
    _check_writable("--json", path)
    if path is None:
        return lambda data: None
    return lambda data: path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _check_writable(option: str, path: Path | None) -> None:
    if path is None:
        return
    try:
        path.open("a").close()
    except OSError as error:
        raise UsageError(f"{option} {str(path)!r}: {error.strerror}; name a file in a folder that exists") from None


def _tracer(folder: Path | None) -> Callable[[Record], object]:
    if folder is None:
        return lambda record: None
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--trace {str(folder)!r}: {error.strerror}; name a folder that can be written") from None
    return partial(save, folder=folder)


if __name__ == "__main__":
    sys.exit(main())

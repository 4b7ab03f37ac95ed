"""`streamproof run`: what was typed, as a plan; and what becomes of its results."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console

from harness.endpoint import add_endpoint, endpoint_of, options
from harness.expectations import Expectation, read_expectations, stale, write_expectations
from harness.far_upstream import FarUpstream
from harness.hosting import Host, MissingError, StartError
from harness.inline import InlineHost
from harness.loops import LOOPS, Loop, LoopsError, Pairing, parse_loops
from harness.mounts import Elsewhere
from harness.record import Record
from harness.report.document import document
from harness.report.terminal import Terminal
from harness.run import Lab
from harness.scenario import load_scenarios
from harness.servers import LOOPS_OF_SERVER, SERVERS
from harness.showroom import versioned
from harness.suite import Plan, Suite, run_suite
from harness.target import UNSAID, Target, parse_targets
from harness.trace import save
from harness.usage import INTERRUPTED, OK, UNSOUND, USAGE, Commands, UsageError, check_writable, json_writer
from harness.verdict import exit_code

MOST_COPIES = 32


def register(commands: Commands) -> None:
    """The command and its options."""
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
    run.add_argument(
        "-n",
        dest="copies",
        type=int,
        default=1,
        metavar="N",
        help="put so many copies of each target to the test side by side, each with an upstream of its own; "
        "of a URL target there is one",
    )
    run.add_argument("--strict", action="store_true", help="let a desired claim that fails count too")
    run.add_argument("--expect", type=Path, metavar="FILE", help="the failures that are known; red only for news")
    run.add_argument("--write-expect", type=Path, metavar="FILE", help="write what fails now, for --expect")
    run.add_argument("--json", type=Path, metavar="FILE", help="write the results as JSON")
    run.add_argument("--junit", type=Path, metavar="FILE", help="write the results as JUnit XML")
    run.add_argument("--trace", type=Path, metavar="DIR", help="write what both ends saw, a file a run")


def _run(args: argparse.Namespace) -> int:
    targets = _targets(args)
    pairings = _pairings(args.loops, args.quick, hosted=any(target.app for target in targets))
    scenarios = tuple(s for s in load_scenarios().values() if args.slow or not s.slow)
    if find_spec(args.server) is None:
        raise UsageError(f"--server {args.server!r}: it is not installed; pip install {args.server}")
    if not 0 < args.copies <= MOST_COPIES:
        raise UsageError(f"-n {args.copies}: give the number of copies, 1 to {MOST_COPIES}")
    expectations = _expectations(args.expect)
    write_json = json_writer(args.json)
    check_writable("--write-expect", args.write_expect)
    check_writable("--junit", args.junit)
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
            args.copies,
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


def _tracer(folder: Path | None) -> Callable[[Record], object]:
    if folder is None:
        return lambda record: None
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--trace {str(folder)!r}: {error.strerror}; name a folder that can be written") from None
    return partial(save, folder=folder)

"""`streamproof soak`: reach verdicts on our own proxies side by side, and count those that are not as declared."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from pathlib import Path
from time import monotonic

from harness.report.terminal import failure_text
from harness.run import Lab
from harness.soak.disturb import busy, pauses
from harness.soak.draw import Deck, Draw
from harness.soak.tally import Reached, Tally, begin, keep, resume
from harness.target import parse_target
from harness.trace import save
from harness.usage import Commands
from harness.verdict import Result

CREW = 16
"""Most of a failing verdict is waiting, so many at a time fit on two cores."""
EVERY = 100
"""Verdicts from one line of progress to the next."""
OK, WRONG, USAGE, UNSOUND, INTERRUPTED = 0, 1, 2, 3, 130


def register(commands: Commands) -> None:
    """The command and its options."""
    about = "Count wrong verdicts on our own proxies while the machine is disturbed."
    parser = commands.add_parser("soak", help="count wrong verdicts under pressure", description=about)
    parser.set_defaults(command=run)
    parser.add_argument("--verdicts", type=int, default=1_000, metavar="N", help="how many (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="the order (default %(default)s)")
    parser.add_argument("--busy", type=int, default=0, metavar="N", help="keep so many cores busy meanwhile")
    parser.add_argument("--pauses", action="store_true", help="stop the targets' processes for a moment now and then")
    parser.add_argument("--crew", type=int, default=CREW, metavar="N", help="verdicts under way (default %(default)s)")
    parser.add_argument("--target", action="append", metavar="T", help="only this one of ours; may be given again")
    parser.add_argument("-k", dest="holds", default="", metavar="TEXT", help="only what has this text in its name")
    parser.add_argument("--state", type=Path, default=Path("soak.jsonl"), metavar="FILE", help="default %(default)s")
    parser.add_argument("--resume", action="store_true", help="go on with the state file, by its seed")
    parser.add_argument("--trace", type=Path, metavar="DIR", help="write what both ends saw of the wrong and unsound")


def run(args: argparse.Namespace) -> int:
    """Soak; the exit code."""
    for target in args.target or ():
        parse_target(target)
    deck = Deck(args.target or (), args.holds)
    if not deck.kinds:
        print(f"streamproof: nothing of ours is selected by -k {args.holds!r} and --target", file=sys.stderr)
        return USAGE
    if args.trace:
        args.trace.mkdir(parents=True, exist_ok=True)
    tally = resume(args.state, deck.name) if args.resume else begin(args.state, args.seed, deck.name)
    print(f"soak of seed {tally.seed}, state in {args.state}", flush=True)
    began, before = monotonic(), len(tally.reached)
    interrupted, paused = False, list[float]()
    # Whoever ends us in the middle of a pause would leave a child behind that is stopped for ever.
    before_us = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _soak(args, deck, tally, paused)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        signal.signal(signal.SIGTERM, before_us)
    seconds, new = monotonic() - began, len(tally.reached) - before
    print("", *tally.lines(), sep="\n")
    print(f"{new:,} of them now, in {seconds:.0f} s, {new / seconds:.1f} a second, {len(paused)} pauses", flush=True)
    if interrupted:
        print(f"interrupted; --state {args.state} --resume goes on", flush=True)
        return INTERRUPTED
    return WRONG if tally.wrong else UNSOUND if tally.unsound else OK


def _soak(args: argparse.Namespace, deck: Deck, tally: Tally, paused: list[float]) -> None:
    """Reach what is missing; `paused` gets the seconds of each pause."""
    wanted = (deck.draw(tally.seed, number) for number in tally.missing(args.verdicts))
    with ExitStack() as stack:
        stack.enter_context(busy(args.busy))
        lab = stack.enter_context(Lab())
        pool = stack.enter_context(ThreadPoolExecutor(args.crew))
        stack.callback(lab.interrupt)  # first: then nothing that is under way takes its time
        if args.pauses:
            stack.enter_context(pauses(lab, tally.seed, paused))
        for draw, result, seconds in _reached(pool, lab, wanted, args.crew):
            one = _noted(draw, result, seconds)
            tally.add(one)
            keep(args.state, one)
            _tell(one, result, tally)
            if args.trace and result.record and (one.wrong or one.verdict == "unsound"):
                save(result.record, args.trace)


def _reached(
    pool: ThreadPoolExecutor, lab: Lab, wanted: Iterable[Draw], crew: int
) -> Iterator[tuple[Draw, Result, float]]:
    """Verdicts as they come, with so many under way, and the seconds that each took."""

    def reach(draw: Draw) -> tuple[Draw, Result, float]:
        began = monotonic()
        return draw, draw.cell.reach(lab, fresh=draw.fresh), monotonic() - began

    pending: set[Future[tuple[Draw, Result, float]]] = set()
    for draw in wanted:
        pending.add(pool.submit(reach, draw))
        while len(pending) >= crew:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
    while pending:
        done, pending = wait(pending, return_when=FIRST_COMPLETED)
        yield from (future.result() for future in done)


def _noted(draw: Draw, result: Result, seconds: float) -> Reached:
    cell = draw.cell
    return Reached(draw.number, str(cell), cell.declared, result.verdict, round(seconds, 2), result.reason)


def _tell(one: Reached, result: Result, tally: Tally) -> None:
    """What is wrong is told whole and at once; else a line now and then."""
    if one.wrong:
        print(f"\nWRONG, declared {one.declared}: {one.verdict}\n{failure_text(result)}", flush=True)
    if len(tally.reached) % EVERY == 0:
        print(f"{len(tally.reached)} verdicts, {len(tally.wrong)} wrong, {len(tally.unsound)} unsound", flush=True)

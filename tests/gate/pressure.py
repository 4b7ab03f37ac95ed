"""Counts wrong verdicts while other processes keep the cores busy.

    python tests/gate/pressure.py --verdicts 1000 --matrix 3 --busy 2

Runs the scenarios on the reference until so many verdicts are reached, then the specimen matrix so many times.
Exit code 1 if one verdict was wrong.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from time import monotonic

from matrix import cells, crew

from harness.loops import LOOPS, covering
from harness.report.terminal import failure_text
from harness.run import Lab
from harness.scenario import load_scenarios
from harness.target import parse_target
from harness.verdict import Result


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Keep so many cores busy; each process is ended by its handle."""
    burners = [multiprocessing.Process(target=_burn, daemon=True) for _ in range(processes)]
    for burner in burners:
        burner.start()
    try:
        yield
    finally:
        for burner in burners:
            burner.terminate()
            burner.join()


def _burn() -> None:
    while True:
        sum(range(10_000))


def reference(lab: Lab, verdicts: int) -> Iterator[tuple[str, Result]]:
    target = parse_target("reference")
    quick = [scenario for scenario in load_scenarios().values() if not scenario.slow]
    each = [(s, v, p) for s in quick for v in s.variants for p in covering(LOOPS)]
    for scenario, variant, pairing in islice(cycle(each), verdicts):
        yield "pass", lab.judge(scenario, lab.perform(scenario, variant, target, pairing))


def matrix(lab: Lab, times: int) -> Iterator[tuple[str, Result]]:
    for _ in range(times):
        with crew(lab, cells()) as futures:
            for cell, future in futures.items():
                yield cell.declared, future.result()


def tell(name: str, verdicts: Iterator[tuple[str, Result]]) -> int:
    """Print the count as it grows, and every wrong verdict whole; how many were wrong."""
    began, counts, wrong = monotonic(), Counter[str](), 0
    for declared, result in verdicts:
        counts[result.verdict] += 1
        if result.verdict != declared:
            wrong += 1
            print(f"\nWRONG, declared {declared}: {result.reason}\n{failure_text(result)}", flush=True)
        total = counts.total()
        if sys.stderr.isatty() or total % 100 == 0:
            print(f"{name}: {total} verdicts, {wrong} wrong", file=sys.stderr, flush=True)
    print(f"{name}: {counts.total()} verdicts, {dict(counts)}, {wrong} wrong, {monotonic() - began:.0f} s", flush=True)
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--verdicts", type=int, default=1000, help="on the reference (default %(default)s)")
    parser.add_argument("--matrix", type=int, default=3, help="times the whole matrix (default %(default)s)")
    parser.add_argument("--busy", type=int, default=2, help="processes that keep a core busy (default %(default)s)")
    args = parser.parse_args()
    with busy(args.busy), Lab() as lab:
        wrong = tell("reference", reference(lab, args.verdicts)) + tell("matrix", matrix(lab, args.matrix))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

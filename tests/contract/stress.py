"""The contract, over and over: every adapter of this folder, all at a time, on one event loop; 1 if it wavers.

python tests/contract/stress.py --loop trio --times 100
"""

from __future__ import annotations

import argparse
import gc
import sys
import warnings
from time import monotonic

import anyio
from adapters import BROKEN, GOOD, clauses_of
from inspecting import inspect_all


async def stress(loop: str, times: int) -> int:
    """How many verdicts came out otherwise than they should."""
    wrong = 0
    gc.freeze()  # the contract collects garbage often; what stands here already need not be looked through each time
    for number in range(1, times + 1):
        began = monotonic()
        reports = await inspect_all([*GOOD, *BROKEN])
        for name, report in reports.items():
            expected = set(clauses_of(name, loop)) if name in BROKEN else set()
            if set(report.violated) != expected:
                wrong += 1
                print(f"{number}: {name}: {sorted(report.violated)}, expected {sorted(expected)}\n{report}", flush=True)
        print(f"{number}: {len(reports)} adapters in {monotonic() - began:.1f} s, {wrong} wrong so far", flush=True)
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description="Put the adapters of this folder to the contract, over and over.")
    parser.add_argument("--loop", choices=("asyncio", "trio"), required=True)
    parser.add_argument("--times", type=int, default=100)
    args = parser.parse_args()
    warnings.simplefilter("ignore", ResourceWarning)  # checks that run at a time take turns in setting the filters
    sys.exit(bool(anyio.run(stress, args.loop, args.times, backend=args.loop)))


if __name__ == "__main__":
    main()

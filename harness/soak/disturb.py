"""What gets in the way of a soak: processes that keep the cores busy, and pauses of the targets' children."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from random import Random
from threading import Event, Thread

from harness.loops import LOOPS
from harness.run import Lab

BURN = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    sum(range(100_000))"
"""Ends by itself if nobody is left to end it."""
PAUSE = (0.2, 1.5)
"""Seconds that a child is stopped; far from the 15 s after which a target that stands still is unsound."""
BREATH = (1.0, 6.0)


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Keep so many cores busy; each process is ended by its handle."""
    burners = [subprocess.Popen([sys.executable, "-c", BURN], start_new_session=True) for _ in range(processes)]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


@contextmanager
def pauses(lab: Lab, seed: int, taken: list[float]) -> Iterator[None]:
    """Now and then stop the child on one of the loops for a moment; `taken` gets the seconds of each pause."""
    done = Event()
    dice = Random(f"{seed}/pauses")

    def disturb() -> None:
        while not done.wait(dice.uniform(*BREATH)):
            host = lab.host_of(dice.choice(LOOPS))
            if host is None or host.state() != "running":
                continue
            # By the number, not by Popen, which would collect a child that has just died and free its number.
            with suppress(ProcessLookupError):
                os.kill(host.process.pid, signal.SIGSTOP)
                try:
                    taken.append(dice.uniform(*PAUSE))
                    done.wait(taken[-1])
                finally:
                    os.kill(host.process.pid, signal.SIGCONT)

    thread = Thread(target=disturb)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()

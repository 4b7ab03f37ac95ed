"""The harness's end of a child process that hosts apps: start it, command it, watch it, end it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from select import select
from threading import Lock
from time import monotonic, sleep
from typing import IO, Any, Protocol

from harness.ledger import Ledger
from harness.loops import Loop

OUTPUT_LINES = 20
MOST_PRINTED = 1_000_000
LONGEST_MOUNT = 120.0
"""Seconds without a sign of life in which an app may start; imports of big frameworks on a busy machine are slow."""
LONGEST_PING = 5.0
"""Seconds after which a child that does not answer is taken for busy, not for dead."""


class StartError(Exception):
    """The target did not start. The message says why, with its own words."""


class MissingError(StartError):
    """There is no such target: the name is wrong."""


class Runner(Protocol):
    """Whatever runs a target, as the lab sees it."""

    def state(self) -> str:
        """running, stopped (as by SIGSTOP) or dead."""
        ...

    def died(self) -> bool:
        """Whether it is dead, or so near it that what it did last was dying."""
        ...

    def output(self) -> str:
        """The last lines that it printed."""
        ...

    def mark(self) -> int:
        """How many bytes it has printed so far."""
        ...

    def printed(self, since: int) -> str:
        """All that it printed from a mark on (1 MB at most); what is still to be said of rubbish included."""
        ...

    def epitaph(self) -> str:
        """How it died, with its last words."""
        ...

    def stop(self) -> None:
        """End it, with all that it has started."""
        ...


class Host:
    """One child process on one event loop. Commands may come from any thread, one after the other."""

    ledger: Ledger | None = None
    """The contexts of its apps, where it can see them: inline.py."""

    def __init__(self, loop: Loop, server: str = "hypercorn") -> None:
        self.loop = loop
        self._lock = Lock()
        self._number = 0
        self._buffer = b""
        self._output = tempfile.TemporaryFile("w+b")  # noqa: SIM115 - closed by stop()
        ours, theirs = socket.socketpair()
        self._control = ours
        with theirs:
            # -P: a folder of the user's that is called like one of our packages must not get in the way.
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-m", "harness.host"),
                    *("--control", str(theirs.fileno()), "--loop", loop, "--server", server),
                ],
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is for the harness, which then ends its children in order
                env=_environment(),
            )

    def command(self, **command: Any) -> dict[str, Any]:
        """Have a command carried out. Raises StartError, MissingError."""
        with self._lock:
            try:
                answer = self._ask(command, LONGEST_MOUNT)
            except OSError as error:
                raise StartError(self.epitaph()) from error
        if answer is None:
            self._end(0.0)  # it would not hear the next command either
            late = "no sign of life for" if command["do"] == "inspect" else "the target was not ready after"
            raise StartError(f"{late} {LONGEST_MOUNT:.0f} s. It printed:\n{self.output()}")
        if "missing" in answer:
            raise MissingError(answer["missing"])
        if "refused" in answer:
            raise StartError(answer["refused"])
        if "raised" in answer:
            raise StartError(f"the app raised at start:\n{answer['raised'].rstrip()}")
        return answer

    def died(self) -> bool:
        """Whether the process is dead, or so near it that it no longer answers.

        Its sockets close a moment before the kernel counts it as dead, and who looks just then would blame the
        proxy for a cut that was a crash.
        """
        with self._lock:
            try:
                self._ask({"do": "ping"}, LONGEST_PING)
            except OSError:
                return True
        return self.state() == "dead"

    def _ask(self, command: dict[str, Any], seconds: float | None) -> dict[str, Any] | None:
        """Send a command and read until its answer; None if it did not come in time. Raises OSError at the end."""
        self._number += 1
        self._control.sendall(json.dumps({**command, "number": self._number}).encode() + b"\n")
        while True:
            while b"\n" not in self._buffer:
                readable, _, _ = select([self._control], [], [], seconds)
                if not readable:
                    return None
                data = self._control.recv(65_536)
                if not data:
                    raise ConnectionResetError
                self._buffer += data
            line, _, self._buffer = self._buffer.partition(b"\n")
            answer: dict[str, Any] = json.loads(line)
            if answer["number"] == self._number:  # an older one was given up
                return answer

    def state(self) -> str:
        """running, stopped (as by SIGSTOP) or dead."""
        return "dead" if self._exited() else process_state(self.process.pid)

    def output(self, lines: int = OUTPUT_LINES) -> str:
        """The last lines that the child printed."""
        return last_lines(self._output, lines)

    def mark(self) -> int:
        """How many bytes the child has printed so far."""
        return size_of(self._output)

    def printed(self, since: int) -> str:
        """All that the child printed from a mark on, after it has collected what nobody refers to any more."""
        with suppress(StartError):
            self.command(do="collect")
        return text_from(self._output, since)

    def epitaph(self) -> str:
        """How the process died, with its last words."""
        self._end(5.0)
        code = self.process.returncode
        how = f"exit code {code}" if code >= 0 else f"signal {-code}"
        printed = self.output()
        return f"the target's process died ({how})." + (f" It printed last:\n{printed}" if printed else "")

    def stop(self) -> None:
        """End the process: it goes by itself when its control socket closes; if it does not, it is killed."""
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)  # also wakes a thread that waits for an answer
        self._end(2.0)
        self._control.close()
        self._output.close()

    def _exited(self) -> bool:
        """Whether the process is gone. It is left a zombie until `_end`, so that its number stays its own."""
        if self.process.returncode is not None:
            return True
        with suppress(ChildProcessError):
            return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
        return True

    def _end(self, seconds: float) -> None:
        """Give the process so long to go by itself, then kill it, and in any case whatever the app has started."""
        if self.process.returncode is None:
            deadline = monotonic() + seconds
            while not self._exited() and monotonic() < deadline:
                sleep(0.01)
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def process_state(pid: int) -> str:
    """running, or stopped (as by SIGSTOP), where the system says so."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "running"
    return "stopped" if status in "Tt" else "running"


def size_of(output: IO[bytes]) -> int:
    """How much was written to a file; 0 once it is closed."""
    with suppress(ValueError):
        return os.fstat(output.fileno()).st_size
    return 0


def text_from(output: IO[bytes], since: int) -> str:
    """What was written to a file from a byte on, at most MOST_PRINTED of it; "" once it is closed."""
    with suppress(ValueError):
        return os.pread(output.fileno(), MOST_PRINTED, since).decode(errors="replace")
    return ""


def last_lines(output: IO[bytes], lines: int = OUTPUT_LINES) -> str:
    """The end of what was written to a file; "" once it is closed."""
    with suppress(ValueError):
        size = os.fstat(output.fileno()).st_size
        data = os.pread(output.fileno(), 65_536, max(0, size - 65_536))
        return "\n".join(data.decode(errors="replace").splitlines()[-lines:])
    return ""


def direct_environment() -> dict[str, str]:
    """Ours, for a target: where an HTTP proxy is configured, it must not look for our upstream behind that."""
    names = ("NO_PROXY", "no_proxy")
    direct = {name: ",".join(filter(None, (os.environ.get(name), "127.0.0.1", "localhost", "::1"))) for name in names}
    return {**os.environ, **direct}


def _environment() -> dict[str, str]:
    return {**direct_environment(), "PYTHONUNBUFFERED": "1", "PYTHONPATH": _python_path()}


def _python_path() -> str:
    """Our own packages must be found in the child too, also when they are not installed."""
    home = str(Path(__file__).resolve().parent.parent)
    given = os.environ.get("PYTHONPATH")
    return f"{home}{os.pathsep}{given}" if given else home

"""The harness's end of a child process that hosts apps: start it, command it, watch it, end it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from select import select
from threading import Lock
from typing import Any

from harness.loops import Loop

OUTPUT_LINES = 20
LONGEST_MOUNT = 120.0
"""Seconds that an app may take to start; imports of big frameworks on a busy machine are slow."""


class StartError(Exception):
    """The target did not start. The message says why, with its own words."""


class MissingError(StartError):
    """There is no such target: the name is wrong."""


class Host:
    """One child process on one event loop. Commands may come from any thread, one after the other."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self._lock = Lock()
        self._output = tempfile.TemporaryFile("w+b")  # noqa: SIM115 - closed by stop()
        ours, theirs = socket.socketpair()
        self._control = ours
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "harness.host", "--control", str(theirs.fileno()), "--loop", loop],
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is for the harness, which then ends its children in order
                env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": _python_path()},
            )

    def command(self, **command: Any) -> dict[str, Any]:
        """Have a command carried out. Raises StartError, MissingError."""
        with self._lock:
            try:
                self._control.sendall(json.dumps(command).encode() + b"\n")
                answer = self._answer()
            except OSError as error:
                raise StartError(self.epitaph()) from error
        if "missing" in answer:
            raise MissingError(answer["missing"])
        if "raised" in answer:
            raise StartError(f"the app raised at start:\n{answer['raised'].rstrip()}")
        return answer

    def _answer(self) -> dict[str, Any]:
        line = b""
        while not line.endswith(b"\n"):
            readable, _, _ = select([self._control], [], [], LONGEST_MOUNT)
            if not readable:
                raise StartError(f"the target was not ready after {LONGEST_MOUNT:.0f} s. It printed:\n{self.output()}")
            data = self._control.recv(65_536)
            if not data:
                raise StartError(self.epitaph())
            line += data
        answer: dict[str, Any] = json.loads(line)
        return answer

    def state(self) -> str:
        """running, stopped (as by SIGSTOP) or dead."""
        if self.process.poll() is not None:
            return "dead"
        try:
            status = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return "running"
        return "stopped" if status in "Tt" else "running"

    def output(self, lines: int = OUTPUT_LINES) -> str:
        """The last lines that the child printed."""
        with suppress(ValueError):
            size = os.fstat(self._output.fileno()).st_size
            data = os.pread(self._output.fileno(), 65_536, max(0, size - 65_536))
            return "\n".join(data.decode(errors="replace").splitlines()[-lines:])
        return ""

    def epitaph(self) -> str:
        """How the process died, with its last words."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        code = self.process.returncode
        how = f"exit code {code}" if code is None or code >= 0 else f"signal {-code}"
        printed = self.output()
        return f"the target's process died ({how})." + (f" It printed last:\n{printed}" if printed else "")

    def stop(self) -> None:
        """End the process: it goes by itself when its control socket closes; if it does not, it is killed."""
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)  # also wakes a thread that waits for an answer
        self._control.close()
        try:
            self.process.wait(2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._output.close()


def _python_path() -> str:
    """Our own packages must be found in the child too, also when they are not installed."""
    home = str(Path(__file__).resolve().parent.parent)
    given = os.environ.get("PYTHONPATH")
    return f"{home}{os.pathsep}{given}" if given else home

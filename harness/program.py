"""A target that is a program of its own: started as its preset says, watched, and ended with all it has started."""

from __future__ import annotations

import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Any

from fake_upstream.door import listen
from harness.hosting import (
    MissingError,
    StartError,
    direct_environment,
    last_lines,
    process_state,
    size_of,
    text_from,
)
from harness.preset import Preset, filled, upstream_places

GUARD = Path(__file__).with_name("guard.py")
LONGEST_START = 30.0
"""Seconds that the operating system may take to start a program; not the program to get ready."""
LAST_GASP = 3.0
"""Seconds in which a program whose port is closed is to be seen dead."""
CONNECT = 5.0


class Program:
    """One started program. It listens on `url`; its scratch folder, its processes and its output go with `stop`."""

    def __init__(self, preset: Preset, upstream_url: str, bin_folder: Path | None = None) -> None:
        self.preset = preset
        self.pid = 0
        self._lock = Lock()
        self._code: int | None = None
        self._stopped = False
        self._said = b""
        self._guard: subprocess.Popen[bytes] | None = None
        self.folder = Path(tempfile.mkdtemp(prefix="streamproof-"))
        self._output = tempfile.TemporaryFile("w+b")  # noqa: SIM115 - closed by stop()
        self._control, theirs = socket.socketpair()
        try:
            with theirs:
                self._guard = self._launch(theirs, upstream_url, bin_folder)
            answer = self._hear(LONGEST_START) or {"error": "it did not start"}
        except OSError as error:
            self.stop()
            raise StartError(f"cannot be started: {error.strerror}") from None
        except BaseException:
            self.stop()
            raise
        if "error" in answer:
            self.stop()
            hint = f"; {preset.install.hint}" if preset.install.hint else ""
            raise MissingError(f"cannot be started: {answer['error']}{hint}")
        self.pid = answer["pid"]

    def _launch(self, theirs: socket.socket, upstream_url: str, bin_folder: Path | None) -> subprocess.Popen[bytes]:
        preset = self.preset
        # The kernel names a free port, and the program asks for it a moment later.
        with listen() as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        places: Mapping[str, object] = {
            **upstream_places(upstream_url),
            "host": "127.0.0.1",
            "port": self.port,
            "dir": self.folder,
            "bin": bin_folder or "",
            "here": preset.here,
            "version": preset.version,
        }
        for name, text in preset.files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(filled(text, places), encoding="utf-8")
        env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.folder)} if preset.clean_env else {}
        env = env or {**direct_environment(), "PYTHONUNBUFFERED": "1"}  # or its last words are lost with it
        env = {**env, **{name: filled(text, places) for name, text in preset.env.items()}}
        command = [filled(word, places) for word in preset.command]
        return subprocess.Popen(
            [
                *(sys.executable, "-I", "-S", str(GUARD), str(theirs.fileno())),
                *(str(self.folder), preset.stop_signal, str(preset.stop_seconds), *command),
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            pass_fds=[theirs.fileno()],
            start_new_session=True,  # Ctrl-C is for the harness, which then ends its programs in order
            env=env,
        )

    def _hear(self, seconds: float) -> dict[str, Any] | None:
        """The guard's next word; None if there is none in so many seconds. Raises StartError where it is gone.

        One thread at a time.
        """
        while b"\n" not in self._said:
            readable, _, _ = select.select([self._control], [], [], seconds)
            if not readable:
                return None
            data = self._control.recv(4096)
            if not data:
                raise StartError("cannot be started: its guard is gone")
            self._said += data
        line, _, self._said = self._said.partition(b"\n")
        word: dict[str, Any] = json.loads(line)
        return word

    def _exited(self, seconds: float = 0.0) -> bool:
        if self._code is None:
            with self._lock, suppress(StartError, OSError, ValueError):
                if (word := self._hear(seconds)) and "exit" in word:
                    self._code = word["exit"]
        return self._code is not None

    def state(self) -> str:
        """running, stopped (as by SIGSTOP) or dead."""
        return "dead" if self._stopped or self._exited() else process_state(self.pid)

    def died(self) -> bool:
        """Whether the program is dead, or about to be: its port closes a moment before it is gone."""
        if self._exited():
            return True
        if process_state(self.pid) == "stopped":
            return False
        try:
            socket.create_connection(("127.0.0.1", self.port), CONNECT).close()
        except ConnectionRefusedError:
            return self._exited(LAST_GASP)
        except OSError:
            pass
        return False

    def output(self) -> str:
        """The last lines that the program printed."""
        return last_lines(self._output)

    def mark(self) -> int:
        """How many bytes the program has printed so far."""
        return size_of(self._output)

    def printed(self, since: int) -> str:
        """All that the program printed from a mark on."""
        return text_from(self._output, since)

    def epitaph(self) -> str:
        """How the program died, with its last words."""
        deadline = monotonic() + LAST_GASP
        while not self._exited(0.1) and monotonic() < deadline:
            pass
        how = "it was killed" if self._code is None else f"exit code {self._code}"
        how = f"signal {-self._code}" if self._code is not None and self._code < 0 else how
        printed = self.output()
        return f"the target's process died ({how})." + (f" It printed last:\n{printed}" if printed else "")

    def stop(self) -> None:
        """End it, as its preset says how, and all that it has started. Whoever waits for it sees it dead."""
        self._stopped = True
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        if self._guard:
            self._guard.wait()
        self._control.close()
        self._output.close()
        shutil.rmtree(self.folder, ignore_errors=True)

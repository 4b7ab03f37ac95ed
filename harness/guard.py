"""Runs a program, and takes it along when the harness is gone, however that went. Started by program.py, by path.

    python -I -S guard.py CONTROL_FD FOLDER SIGNAL SECONDS COMMAND...

The program is in a process group of its own. On the control socket the guard says `{"pid": N}` once it runs, or
`{"error": "..."}`, and `{"exit": CODE}` when it has ended. Once the other end says anything, or hangs up, the
program gets SIGNAL, SECONDS to follow it, and then SIGKILL, with everything in its group. FOLDER, its scratch folder,
goes last.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from threading import Thread


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    folder, how, seconds, command = sys.argv[2], signal.Signals[sys.argv[3]], float(sys.argv[4]), sys.argv[5:]

    def say(**words: object) -> None:
        with suppress(OSError):
            control.sendall(json.dumps(words).encode() + b"\n")

    try:
        program = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0)
    except OSError as error:
        say(error=f"{error.strerror}: {command[0]}")
        shutil.rmtree(folder, ignore_errors=True)
        return
    say(pid=program.pid)

    def report() -> None:
        say(exit=program.wait())
        with suppress(OSError):
            control.shutdown(socket.SHUT_RD)  # wakes the main thread

    Thread(target=report, daemon=True).start()
    with suppress(OSError):
        control.recv(1)
    with suppress(ProcessLookupError, subprocess.TimeoutExpired):
        program.send_signal(how)
        program.wait(seconds)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(program.pid, signal.SIGKILL)  # also whatever it has started
    say(exit=program.wait())
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

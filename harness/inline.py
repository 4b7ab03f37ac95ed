"""A host in the harness's own process: a thread with an event loop; breakpoints hold there, and contexts show.

To the harness it is a host like the child process: the same commands go the same way. But an app that blocks its
thread, or ends the process, does so to the harness; and one whose own packages are named like ours finds ours.
"""

from __future__ import annotations

import socket
import sys
import traceback
from contextlib import ExitStack, suppress
from threading import Lock, Thread
from typing import Any

import anyio

from harness import host, hosting
from harness.factory import load_beside_ours
from harness.ledger import Ledger
from harness.loops import Loop
from harness.servers import SERVERS
from harness.watch import watching

GRACE = 2.0
"""Seconds that the thread has to end once it is told to. It cannot be killed; it is left behind, and ends with us."""


class _Host(host.Host):
    """Carries out commands as in the child, and has the ledger watch whatever the apps ask of their upstreams."""

    load = staticmethod(load_beside_ours)

    def __init__(self, control: socket.socket, server: str, ledger: Ledger) -> None:
        super().__init__(control, SERVERS[server])
        self.ledger = ledger
        self.watches = ExitStack()

    async def run(self) -> None:
        with self.watches, self.control:
            await super().run()

    async def _mount(self, spec: str, upstream: str) -> str:
        url = await super()._mount(spec, upstream)
        self.watches.enter_context(watching(self.ledger, upstream.removesuffix("/v1")))
        return url


class InlineHost(hosting.Host):
    """The harness's end of it."""

    def __init__(self, loop: Loop, server: str = "hypercorn") -> None:
        self.loop = loop
        self.ledger = Ledger()
        self._lock = Lock()
        self._number = 0
        self._buffer = b""
        self._failure = ""
        self._control, theirs = socket.socketpair()
        theirs.setblocking(False)
        self._host = _Host(theirs, server, self.ledger)
        self._thread = Thread(target=self._run, name=f"streamproof-target-{loop}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            anyio.run(self._host.run, backend=self.loop)
        except BaseException:
            self._failure = traceback.format_exc()

    def state(self) -> str:
        """running, stopped (somebody is at a breakpoint) or dead."""
        if not self._thread.is_alive():
            return "dead"
        frame = sys._current_frames().get(self._thread.ident or 0)
        while frame:
            if frame.f_globals.get("__name__") == "bdb":
                return "stopped"
            frame = frame.f_back
        return "running"

    def output(self, lines: int = hosting.OUTPUT_LINES) -> str:
        """What it prints goes where everything here goes; kept is what its thread died of."""
        return "\n".join(self._failure.splitlines()[-lines:])

    def mark(self) -> int:
        return 0

    def printed(self, since: int) -> str:
        return ""

    def epitaph(self) -> str:
        return "the target's thread ended." + (f" It raised:\n{self.output()}" if self._failure else "")

    def stop(self) -> None:
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        self._end(GRACE)
        self._control.close()

    def _ask(self, command: dict[str, Any], seconds: float | None) -> dict[str, Any] | None:
        """Without a limit for mounts: somebody may be at a breakpoint in the app's factory."""
        return super()._ask(command, None if command["do"] == "mount" else seconds)

    def _end(self, seconds: float) -> None:
        self._thread.join(seconds)

"""The target's child process: one event loop, many apps side by side, each on a port of its own.

Run by hosting.py as `python -m harness.host`. Commands come in as lines of JSON on an inherited socket, whose end
is the signal to go: a child never outlives its harness.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import select
import socket
import sys
import traceback
from collections.abc import AsyncIterator
from threading import Thread
from time import sleep
from typing import Any

import anyio

from fake_upstream.door import listen, url_of
from harness.factory import LoadError, load_factory, load_stream
from harness.loops import LOOPS, Loop
from harness.servers import SERVERS, Server

GRACE = 1.0
"""Seconds that the event loop has to end by itself once the harness is gone."""


class Host:
    """Carries out the harness's commands, one after the other."""

    load = staticmethod(load_factory)

    def __init__(self, control: socket.socket, serve: Server) -> None:
        self.control = control
        self.serve = serve
        self.scopes: dict[str, anyio.CancelScope] = {}

    async def run(self) -> None:
        async with anyio.create_task_group() as self.tasks:
            async for command in self._commands():
                try:
                    answer = await self._carry_out(command)
                except LoadError as error:
                    answer = {"missing": str(error)}
                except (Exception, SystemExit):  # many leave by sys.exit() if their settings are wrong
                    answer = {"raised": traceback.format_exc()}
                self._say({**answer, "number": command["number"]})
            self.tasks.cancel_scope.cancel()

    async def _commands(self) -> AsyncIterator[dict[str, Any]]:
        buffer = b""
        while True:
            try:
                data = self.control.recv(65_536)
            except BlockingIOError:
                await anyio.wait_readable(self.control)
                continue
            except OSError:
                return
            if not data:
                return
            *lines, buffer = (buffer + data).split(b"\n")
            for line in lines:
                yield json.loads(line)

    async def _carry_out(self, command: dict[str, Any]) -> dict[str, Any]:
        match command["do"]:
            case "describe":
                loops = getattr(self.load(command["app"]), "loops", LOOPS)
                named = [loops] if isinstance(loops, str) else list(loops)
                if not named or any(loop not in LOOPS for loop in named):
                    raise LoadError(f"{command['app']} has loops = {loops!r}; give {' or '.join(LOOPS)}, or both")
                return {"loops": named}
            case "mount":
                return {"url": await self._mount(command["app"], command["upstream"])}
            case "unmount":
                if scope := self.scopes.pop(command["url"], None):
                    scope.cancel()
                return {}
            case "ping":
                return {}
            case "inspect":
                return await self._inspect(command["app"], command["upstream_loop"])
            case "collect":
                gc.collect()  # a task that failed unheard says so only now
                return {}
            case other:
                raise LoadError(f"unknown command {other}")

    async def _mount(self, spec: str, upstream: str) -> str:
        app = self.load(spec)(upstream)
        sock = listen()
        url = url_of(sock)
        started = anyio.Event()
        failures: list[BaseException] = []

        async def serve() -> None:
            with anyio.CancelScope() as self.scopes[url]:
                try:
                    await self.serve(app, sock, started.set)
                except Exception as error:
                    if started.is_set():
                        traceback.print_exc()
                    failures.append(error)
                finally:
                    sock.close()
                    started.set()

        self.tasks.start_soon(serve)
        await started.wait()
        if failures:
            raise failures[0]
        return url

    async def _inspect(self, spec: str, upstream_loop: Loop) -> dict[str, Any]:
        """Put an app's own stream to the deferred-stream contract. The first command, if any: names are ours still."""
        from harness.contract import inspect_deferred_stream  # not for hosts of apps: it takes its time to import
        from harness.streams import FormError

        make_stream = load_stream(spec)
        gc.freeze()  # the contract collects garbage often: what stands here already need not be looked through
        try:
            report = await inspect_deferred_stream(
                make_stream, wire_only=True, upstream_loop=upstream_loop, on_course=lambda _: self._say({})
            )
        except (FormError, ValueError) as error:
            return {"refused": str(error)}
        return {"courses": [course.to_json() for course in report.courses]}

    def _say(self, answer: dict[str, Any]) -> None:
        """Send an answer; one without a number is only a sign of life."""
        self.control.setblocking(True)
        self.control.sendall(json.dumps({"number": 0, **answer}).encode() + b"\n")
        self.control.setblocking(False)


def go_with(control: socket.socket) -> None:
    """End the process soon after the harness hung up, also if the app blocks the event loop, which then never hears."""
    watch = select.poll()
    watch.register(control, select.POLLHUP)
    watch.poll()
    sleep(GRACE)
    os._exit(1)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m harness.host")
    parser.add_argument("--control", type=int, required=True)
    parser.add_argument("--loop", choices=LOOPS, required=True)
    parser.add_argument("--server", choices=sorted(SERVERS), required=True)
    args = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    control = socket.socket(fileno=args.control)
    control.setblocking(False)
    Thread(target=go_with, args=(control,), daemon=True).start()
    anyio.run(Host(control, SERVERS[args.server]).run, backend=args.loop)
    # Threads that an app left behind must not keep the process: nobody is there to ask for them.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()

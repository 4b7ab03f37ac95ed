"""The target's child process: one event loop, many apps side by side, each on a port of its own.

Run by hosting.py as `python -m harness.host`. Commands come in as lines of JSON on an inherited socket, whose end
is the signal to go: a child never outlives its harness.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import logging
import os
import socket
import sys
import traceback
from collections.abc import AsyncIterator, Callable
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, cast

import anyio

from fake_upstream.serving import listen, url_of
from harness.loops import LOOPS
from harness.servers import SERVERS, App, Server


class LoadError(Exception):
    """There is no such app: a mistake of whoever named it, not of the app."""


def load_factory(spec: str) -> Callable[[str], App]:
    """`MODULE:FACTORY` or `path/to/file.py:FACTORY` → the factory. Raises LoadError, or what the module raises."""
    place, _, name = spec.rpartition(":")
    if place.endswith(".py"):
        path = Path(place).resolve()
        if not path.is_file():
            raise LoadError(f"there is no file {place}")
        _put_on_path(path)
        found = importlib.util.spec_from_file_location(f"streamproof_target_{path.stem}", path)
        assert found is not None
        assert found.loader is not None
        module = importlib.util.module_from_spec(found)
        sys.modules[found.name] = module
        found.loader.exec_module(module)
    else:
        sys.path.insert(0, os.getcwd())
        try:
            module = importlib.import_module(place)
        except ModuleNotFoundError as error:
            if error.name and (place == error.name or place.startswith(error.name + ".")):
                raise LoadError(
                    f"there is no module {place} here; a file is named by its path, as in ./{place}.py"
                ) from None
            raise
    factory = getattr(module, name, None)
    if not callable(factory):
        has = (
            ", ".join(n for n, v in vars(module).items() if callable(v) and not n.startswith("_")) or "nothing callable"
        )
        raise LoadError(f"{place} has no callable {name!r}; it has {has}")
    return cast(Callable[[str], App], factory)


def _put_on_path(path: Path) -> None:
    """The file's folder first, as with `python FILE`; but last if the file is named after a library, not to hide it."""
    folder = str(path.parent)
    others = [place for place in sys.path if os.path.realpath(place) != folder]
    is_library = PathFinder.find_spec(path.stem, others) is not None
    sys.path[:] = [*others, folder] if is_library else [folder, *others]


class Host:
    """Carries out the harness's commands, one after the other."""

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
                except Exception:
                    answer = {"raised": traceback.format_exc()}
                answer["number"] = command["number"]
                self.control.setblocking(True)
                self.control.sendall(json.dumps(answer).encode() + b"\n")
                self.control.setblocking(False)
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
                loops = getattr(load_factory(command["app"]), "loops", LOOPS)
                return {"loops": [loops] if isinstance(loops, str) else list(loops)}
            case "mount":
                return {"url": await self._mount(command["app"], command["upstream"])}
            case "unmount":
                if scope := self.scopes.pop(command["url"], None):
                    scope.cancel()
                return {}
            case "ping":
                return {}
            case other:
                raise LoadError(f"unknown command {other}")

    async def _mount(self, spec: str, upstream: str) -> str:
        app = load_factory(spec)(upstream)
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


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m harness.host")
    parser.add_argument("--control", type=int, required=True)
    parser.add_argument("--loop", choices=LOOPS, required=True)
    parser.add_argument("--server", choices=sorted(SERVERS), required=True)
    args = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    control = socket.socket(fileno=args.control)
    control.setblocking(False)
    anyio.run(Host(control, SERVERS[args.server]).run, backend=args.loop)
    # Threads that an app left behind must not keep the process: nobody is there to ask for them.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()

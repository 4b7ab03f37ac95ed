"""Apps as files, hosts for them, and a plain request: what the tests of hosting share."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from textwrap import dedent
from urllib.parse import urlsplit

from harness.hosting import Host
from harness.loops import Loop

GUARD = 60.0
"""Seconds after which a test that waits for ever fails instead."""

ANSWERS = """
    async def app(scope, receive, send):
        assert scope["type"] == "http"
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    def build(upstream_url):
        return app
"""
"""An app that knows no lifespan and answers everything with ok."""


def write_app(folder: Path, code: str, name: str = "gateway.py") -> str:
    """The spec of an app in a file of this code, `build` being its factory."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(code))
    return f"{path}:build"


@contextmanager
def hosting(loop: Loop) -> Iterator[Host]:
    host = Host(loop)
    try:
        yield host
    finally:
        host.stop()


def mount(host: Host, spec: str) -> str:
    url = host.command(do="mount", app=spec, upstream="http://upstream/v1")["url"]
    assert isinstance(url, str)
    return url


def ask(url: str, path: str = "/") -> bytes:
    """The body of one plain request's answer. Raises OSError, HTTPException."""
    parts = urlsplit(url)
    assert parts.hostname
    connection = HTTPConnection(parts.hostname, parts.port, timeout=GUARD)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait until it holds; only a deadlock can reach the guard."""
    deadline = time.monotonic() + GUARD
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.005)


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has reaped yet has."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except ProcessLookupError:
        return True
    except FileNotFoundError:
        return Path("/proc/self").exists()  # it went between the two questions; or there is no /proc here

"""Gateways as programs: the reference under a server, by a command line, with whatever a test wants of it."""

from __future__ import annotations

import shlex
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import randint
from subprocess import DEVNULL, PIPE, Popen
from textwrap import indent

from commands import environment, write
from hosted import until

from fake_upstream.door import listen

PLAIN = "build = Proxy"
NEVER_GIVEN = (20_000, 30_000)
"""Ports below those that kernels choose of (from 32,768 on with Linux, 49,152 elsewhere)."""


def gateway(folder: Path, code: str = PLAIN, name: str = "gateway.py") -> Path:
    """A program that serves `build(UPSTREAM)` on PORT. Arguments: PORT UPSTREAM."""
    path = write(folder, "", name)
    path.write_text(
        "import sys\nfrom harness.proxies.reference import *\nfrom harness.proxies.reference import Proxy\n"
        f"{code}\n"
        "if __name__ == '__main__':\n"
        + indent(
            "from hypercorn.asyncio import serve\n"
            "from hypercorn.config import Config\n"
            "config = Config()\n"
            "config.bind = [f'127.0.0.1:{sys.argv[1]}']\n"
            "config.keep_alive_timeout = 3600\n"
            "config.errorlog = config.accesslog = None\n"
            "anyio.run(serve, build(sys.argv[2]), config)\n",
            "    ",
        )
    )
    return path


def command(path: Path, *words: str) -> str:
    """The `--target` that starts it."""
    return "cmd:" + shlex.join([sys.executable, str(path), *(words or ("{port}", "{upstream}"))])


def free_port() -> int:
    """A port that nobody listens on now, and that the kernel gives to nobody who asks it for one."""
    while True:
        port = randint(*NEVER_GIVEN)
        with suppress(OSError), listen(port=port):
            return port


@contextmanager
def by_hand(path: Path, upstream: str) -> Iterator[str]:
    """The gateway, started by somebody else; its root URL."""
    port = free_port()
    with Popen(
        [sys.executable, str(path), str(port), upstream], env=environment(), stdin=DEVNULL, stderr=PIPE
    ) as process:
        try:
            until(lambda: process.poll() is not None or _listens(port), "it listens")
            assert process.poll() is None, process.stderr and process.stderr.read()
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0

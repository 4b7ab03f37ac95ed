"""The servers that an app can be put on: hypercorn on either loop, or uvicorn on asyncio.

The same app can be right under one server and wrong under the other. They are the real servers; only on hypercorn
the accept loop is ours, since on trio one bad connection would take the whole server down (pgjones/hypercorn#225).
This module is the one place at the target's station that names both loops.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Protocol, cast

import anyio
import hypercorn.asyncio.lifespan
import hypercorn.asyncio.tcp_server
import hypercorn.asyncio.worker_context
import hypercorn.trio.lifespan
import hypercorn.trio.tcp_server
import hypercorn.trio.worker_context
import sniffio
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.typing import ConnectionState
from hypercorn.utils import LifespanFailureError

from fake_upstream.door import BACKLOG
from harness.loops import LOOPS, Loop

App = Callable[..., Awaitable[None]]
Ready = Callable[[], None]
log = logging.getLogger("streamproof.host")


class Server(Protocol):
    """Serves an app on a listening socket until cancelled, and says when it is ready.

    Raises what a failing lifespan start raises.
    """

    async def __call__(self, app: App, sock: socket.socket, ready: Ready) -> None: ...


async def serve_hypercorn(app: App, sock: socket.socket, ready: Ready) -> None:
    """hypercorn, on asyncio or trio."""
    config = Config()
    config.keep_alive_timeout = 3600
    config.keep_alive_max_requests = 10**9
    config.accesslog = None
    serve = _serve_trio if sniffio.current_async_library() == "trio" else _serve_asyncio
    await serve(cast(Any, ASGIWrapper(cast(Any, app))), sock, config, ready)


def _heard(lifespan: Any) -> list[str]:
    """What the app will have said of a start that failed. hypercorn raises it too, but a moment later."""
    said: list[str] = []
    send = lifespan.asgi_send

    async def asgi_send(message: Any) -> None:
        if message["type"] == "lifespan.startup.failed":
            said.append(message.get("message", ""))
        await send(message)

    lifespan.asgi_send = asgi_send
    return said


async def _serve_asyncio(app: Any, sock: socket.socket, config: Config, ready: Ready) -> None:
    loop = asyncio.get_running_loop()
    context = hypercorn.asyncio.worker_context.WorkerContext(None)
    state: dict[str, Any] = {}
    lifespan = hypercorn.asyncio.lifespan.Lifespan(app, config, loop, cast(Any, state))

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await hypercorn.asyncio.tcp_server.TCPServer(
                app, loop, config, context, ConnectionState(cast(Any, dict(state))), reader, writer
            )
        except Exception:
            log.exception("a connection failed")

    failed = _heard(lifespan)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lifespan.handle_lifespan)
        await lifespan.wait_for_startup()
        if failed:
            raise LifespanFailureError("startup", failed[0])
        server = await asyncio.start_server(
            lambda reader, writer: tasks.start_soon(converse, reader, writer), sock=sock, backlog=BACKLOG
        )
        ready()
        try:
            await anyio.sleep_forever()
        finally:
            server.close()


async def _serve_trio(app: Any, sock: socket.socket, config: Config, ready: Ready) -> None:
    context = hypercorn.trio.worker_context.WorkerContext(None)
    state: dict[str, Any] = {}
    lifespan = hypercorn.trio.lifespan.Lifespan(app, config, cast(Any, state))

    async def converse(stream: trio.SocketStream) -> None:
        try:
            await hypercorn.trio.tcp_server.TCPServer(
                app, config, context, ConnectionState(cast(Any, dict(state))), cast(Any, stream)
            )
        except Exception:
            log.exception("a connection failed")

    failed = _heard(lifespan)
    async with trio.open_nursery() as nursery:
        await nursery.start(lifespan.handle_lifespan)
        with suppress(trio.ClosedResourceError, trio.BrokenResourceError):  # an app that knows no lifespan and returned
            await lifespan.wait_for_startup()
        if failed:
            raise LifespanFailureError("startup", failed[0])
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(sock))
        ready()
        await trio.serve_listeners(converse, [listener])


async def serve_uvicorn(app: App, sock: socket.socket, ready: Ready) -> None:
    """uvicorn, as it comes, but that it tells when it is ready."""
    import uvicorn  # an extra

    class Told(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if not self.should_exit:
                ready()

    config = uvicorn.Config(
        cast(Any, app), log_level="warning", access_log=False, timeout_keep_alive=3600, backlog=BACKLOG
    )
    with suppress(SystemExit):  # some versions report by it that the app did not start
        await Told(config).serve(sockets=[sock])
    raise RuntimeError("uvicorn ended by itself; its lifespan start may have failed, see its output")


SERVERS: dict[str, Server] = {"hypercorn": serve_hypercorn, "uvicorn": serve_uvicorn}
LOOPS_OF_SERVER: dict[str, tuple[Loop, ...]] = {"hypercorn": LOOPS, "uvicorn": ("asyncio",)}

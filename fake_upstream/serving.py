"""Serves an ASGI app on hypercorn's HTTP/1.1 engine, on whichever loop is running, with the wire in hand.

hypercorn's protocol classes know neither asyncio nor trio: they take events and ask for a task group and an
event class. Its two servers wrap them in a loop each; we wrap them once, around a bare socket (wire.py), so
that the port, readiness, shutdown, one connection's failure and every byte stay ours. These classes are not
hypercorn's public interface: the version is pinned and tests/fake_upstream/test_contract_hypercorn.py
holds what we rely on.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from math import inf
from types import TracebackType
from typing import Any, Protocol, cast

import anyio
import h11
from anyio.abc import TaskGroup as AnyioTaskGroup
from hypercorn.config import Config
from hypercorn.events import Closed, RawData
from hypercorn.events import Event as HypercornEvent
from hypercorn.protocol.h11 import H2CProtocolRequiredError, H2ProtocolAssumedError, H11Protocol
from hypercorn.typing import ConnectionState, H11SendableEvent

from fake_upstream.door import Door
from fake_upstream.journal import Journal, Notes
from fake_upstream.wire import PeerLeft, Wire

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

log = logging.getLogger("fake_upstream")


class App(Protocol):
    """An ASGI app; `scope["state"]["wire"]` is the connection's Wire."""

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None: ...


@asynccontextmanager
async def serve(app: App, door: Door, journal: Journal, *, own_continue: bool = False) -> AsyncGenerator[None]:
    """Serve until the block is left; then every connection is reset at once, whatever it was doing.

    With `own_continue` a request that says `Expect: 100-continue` is the app's to answer, through the wire; without
    it hypercorn sends 100 as soon as it has read the head.
    """
    config = Config()
    config.include_date_header = config.include_server_header = False
    config.keep_alive_max_requests = 10**9
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_accept, app, door, journal, config, _OwnContinue if own_continue else H11Protocol, tasks)
            yield
            tasks.cancel_scope.cancel()
    finally:
        door.sock.close()


async def _accept(
    app: App, door: Door, journal: Journal, config: Config, protocol: type[H11Protocol], tasks: AnyioTaskGroup
) -> None:
    while True:
        await door.until_open()
        try:
            peer, _ = door.sock.accept()
        except BlockingIOError:
            await anyio.wait_readable(door.sock)
        except OSError as error:  # out of descriptors, or a connection that was gone before it was taken
            if door.open:
                log.warning("accept failed: %s", error)
                await anyio.sleep(0.05)
        else:
            peer.setblocking(False)
            tasks.start_soon(_Connection(app, peer, journal, config, protocol, door.wires).run)


class _OwnContinue(H11Protocol):
    """hypercorn's engine that believes to have sent 100 Continue, and has not."""

    async def _send_h11_event(self, event: H11SendableEvent) -> None:
        if isinstance(event, h11.InformationalResponse) and event.status_code == 100:
            self.connection.send(event)  # h11 goes on to the request's body; the bytes are dropped
        else:
            await super()._send_h11_event(event)


class _Connection:
    """One accepted connection: the wire's bytes go to hypercorn, hypercorn's bytes to the wire."""

    def __init__(
        self,
        app: App,
        sock: socket.socket,
        journal: Journal,
        config: Config,
        protocol: type[H11Protocol],
        wires: set[Wire],
    ) -> None:
        self.app = app
        self.engine = protocol
        self.config = config
        self.wire = Wire(sock, Notes(journal))
        self.wires = wires
        self.wires.add(self.wire)  # from here on, not from the first step of the task: a door may be shut in between

    async def run(self) -> None:
        """Never raises but for cancellation: one bad connection must not take the others along."""
        try:
            client, server = (name()[:2] for name in (self.wire.sock.getpeername, self.wire.sock.getsockname))
        except OSError:  # reset before we got to it
            client, server = ("", 0), ("", 0)
        self.wire.notes.note("accepted", note=f"port {client[1]}")
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.wire.pump)
                self.protocol = self.engine(
                    cast(Any, self.app),
                    self.config,
                    cast(Any, _Context()),
                    cast(Any, _Tasks(tasks, self.wire)),
                    ConnectionState(cast(Any, {"wire": self.wire})),
                    False,
                    client,
                    server,
                    self.send,
                )
                try:
                    while data := await self.wire.read():
                        await self.protocol.handle(RawData(data))
                    await self.protocol.handle(Closed())
                except (H2CProtocolRequiredError, H2ProtocolAssumedError):
                    self.wire.fin()  # HTTP/1.1 only: h2 bypasses the wire
            self.wire.fin()
        except Exception as error:
            log.exception("connection failed")
            self.wire.notes.note("crashed", note=repr(error))
        finally:
            self.wire.drop()
            self.wires.discard(self.wire)

    async def send(self, event: HypercornEvent) -> None:
        """What hypercorn wants to do to the connection."""
        if isinstance(event, RawData):
            if not self.wire.owned:
                with suppress(PeerLeft):
                    await self.wire.write(event.data)
        elif isinstance(event, Closed):
            self.wire.fin()


class _Tasks:
    """hypercorn's task group: runs the app of each request, in a mailbox that never makes the reader wait."""

    def __init__(self, tasks: AnyioTaskGroup, wire: Wire) -> None:
        self.tasks = tasks
        self.wire = wire

    async def spawn_app(
        self, app: App, config: Config, scope: dict[str, Any], send: Callable[[Message | None], Awaitable[None]]
    ) -> Callable[[Message], Awaitable[None]]:
        mail_in, mail = anyio.create_memory_object_stream[Message](inf)

        async def run() -> None:
            with mail_in, mail:
                try:
                    await app(scope, mail.receive, send)
                except Exception as error:
                    log.exception("the app failed")
                    self.wire.notes.note("crashed", note=repr(error))
                await send(None)

        async def put(message: Message) -> None:
            with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):  # the app has returned: nobody reads
                mail_in.send_nowait(message)

        self.tasks.start_soon(run)
        return put

    def spawn(self, func: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> None:
        self.tasks.start_soon(func, *args)

    async def __aenter__(self) -> _Tasks:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class _Flag:
    """hypercorn's event: one that can be cleared."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    async def set(self) -> None:
        self._event.set()

    async def clear(self) -> None:
        self._event = anyio.Event()

    async def wait(self) -> None:
        await self._event.wait()

    def is_set(self) -> bool:
        return self._event.is_set()


class _Context:
    """hypercorn's worker: here, one that never ends by itself."""

    event_class = _Flag

    def __init__(self) -> None:
        self.terminate = _Flag()
        self.terminated = _Flag()

    async def mark_request(self) -> None:
        return None

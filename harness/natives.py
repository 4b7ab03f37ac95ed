"""What the event loops have of their own: tasks, and the ways in which each ends one from outside.

This module is the one place at the inside station, that of adapters and their contexts, that names both loops.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any

import sniffio
import trio

Consume = Callable[[], Awaitable[object]]
Wait = Callable[[], Awaitable[object]]
Leave = Callable[[Consume, Wait], Coroutine[Any, Any, None]]
"""leave(consume, reached): run the consumer in a task; once `reached` returns, end it in this way and wait for it."""


class SomethingElseFailed(Exception):
    """The failure in a task group by which its other tasks are cancelled."""


def library() -> str:
    """asyncio or trio; "" outside of both."""
    try:
        return sniffio.current_async_library()
    except sniffio.AsyncLibraryNotFoundError:
        return ""


def current_task() -> object | None:
    """The running task; None outside of any, as in a callback of the event loop."""
    match library():
        case "trio":
            return trio.lowlevel.current_task()
        case "asyncio":
            return asyncio.current_task()
    return None


def current_loop() -> object | None:
    """The running event loop, or on trio its token; None where there is none."""
    if library() == "trio":
        return trio.lowlevel.current_trio_token()
    with suppress(RuntimeError):
        return asyncio.get_running_loop()
    return None


def task_name(task: object) -> str:
    """A task's name, as its loop knows it."""
    name = task.get_name() if isinstance(task, asyncio.Task) else getattr(task, "name", "")
    return str(name).rpartition(".")[2]


def ways() -> Mapping[str, Leave]:
    """How the loop that is running ends a task from outside, by name."""
    return TRIO if library() == "trio" else ASYNCIO


async def _task_cancel(consume: Consume, reached: Wait) -> None:
    async def body() -> None:
        await consume()

    task = asyncio.create_task(body(), name="consumer")
    await reached()
    task.cancel()
    await asyncio.wait([task])
    _retrieve(task)


async def _timeout(consume: Consume, reached: Wait) -> None:
    limits: list[asyncio.Timeout] = []

    async def body() -> None:
        async with asyncio.timeout(None) as limit:
            limits.append(limit)
            await consume()

    task = asyncio.create_task(body(), name="consumer")
    await reached()
    with suppress(RuntimeError):  # it is over already
        limits[0].reschedule(asyncio.get_running_loop().time())
    await asyncio.wait([task])
    _retrieve(task)


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Who waits for the consumer learns from itself how it ended; asyncio wants the exception to be looked at."""
    if not task.cancelled():
        task.exception()


async def _task_group(consume: Consume, reached: Wait) -> None:
    async def body() -> None:
        await consume()

    with suppress(BaseExceptionGroup):
        async with asyncio.TaskGroup() as group:
            group.create_task(body(), name="consumer")
            await reached()
            raise SomethingElseFailed


async def _cancel_scope(consume: Consume, reached: Wait) -> None:
    async def body() -> None:
        with scope:
            await consume()

    scope = trio.CancelScope()
    with suppress(Exception):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(body, name="consumer")
            await reached()
            scope.cancel()


async def _nursery(consume: Consume, reached: Wait) -> None:
    async def body() -> None:
        await consume()

    with suppress(Exception):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(body, name="consumer")
            await reached()
            raise SomethingElseFailed


ASYNCIO: Mapping[str, Leave] = {
    "Task.cancel": _task_cancel,
    "asyncio.timeout": _timeout,
    "TaskGroup failure": _task_group,
}
TRIO: Mapping[str, Leave] = {"cancel scope": _cancel_scope, "nursery failure": _nursery}

"""Puts the adapters of this folder to the contract: one, or all at a time on one event loop."""

from __future__ import annotations

import inspect
from collections.abc import Iterable

import anyio
import httpx
from adapters import BROKEN, GOOD

from harness.contract import Report, inspect_deferred_stream
from harness.ledger import Ledger


async def inspect_adapter(name: str) -> Report:
    """What the contract finds of one; its client is its own, and gone after it."""
    make = GOOD[name] if name in GOOD else BROKEN[name][0]
    ledger = Ledger()
    given = {"ledger": ledger} if "ledger" in inspect.signature(make).parameters else {}
    async with httpx.AsyncClient(trust_env=False, timeout=None) as http:
        return await inspect_deferred_stream(lambda url, text: make(http, url, text, **given), ledger=ledger)


async def inspect_all(names: Iterable[str]) -> dict[str, Report]:
    reports: dict[str, Report] = {}

    async def inspect_one(name: str) -> None:
        reports[name] = await inspect_adapter(name)

    async with anyio.create_task_group() as tasks:
        for name in names:
            tasks.start_soon(inspect_one, name)
    return reports

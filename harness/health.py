"""Whether a target that has answered still does: what a fault did to it must not be blamed on the next claim.

A gateway may cool its upstream down after a failure (LiteLLM does, for five seconds), leak until nothing passes, or
wedge. So before each staging one healthy request goes through it. A target that never answered one is judged as it is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import monotonic

import anyio
import httpcore
import httpx

from harness.sockets import SocketBackend, http_client

Ask = Callable[[httpx.AsyncClient], Awaitable[bool]]
RECOVERY = 15.0
"""Seconds that a target has to answer again."""
LONGEST_ANSWER = 5.0
PAUSE = 0.1


class Health:
    """Of one mounted target. Belongs to one staging at a time."""

    def __init__(self, known: bool | None = None) -> None:
        self._known = known
        """Whether it ever answered; None: nobody has asked yet."""
        self._after = ""
        self._lost = False

    async def complaint(self, ask: Ask, staging: str) -> str:
        """Why nothing can be judged now; "" if it can. `staging` is what is about to be put to the test."""
        after, self._after = self._after, staging
        if self._known is False:
            return ""
        answers = await self._asked(ask, LONGEST_ANSWER if self._lost or self._known is None else RECOVERY)
        if self._known is None:
            self._known = answers
            return ""
        self._lost = not answers
        if answers:
            return ""
        since = after or "it was ready"
        return f"the target did not answer a plain request within {RECOVERY:.0f} s after {since}, as it had before"

    async def _asked(self, ask: Ask, seconds: float) -> bool:
        until = monotonic() + seconds
        while True:
            if await self._once(ask):
                return True
            if self._known is None or monotonic() >= until:
                return False
            await anyio.sleep(PAUSE)

    async def _once(self, ask: Ask) -> bool:
        with anyio.move_on_after(LONGEST_ANSWER):
            async with http_client(SocketBackend()) as http:
                try:
                    return await ask(http)
                except (httpcore.NetworkError, httpcore.ProtocolError, httpx.HTTPError):
                    pass
        return False

"""A client leaves. Is its departure why the upstream is let go, or would that have happened anyway?

A proxy that does not hear its client leave but has a time limit of its own lets go as well, only later. So where the
let-go did not come at once, one client stays and then another one leaves. The stayer's time began earlier and runs
out earlier; if the leaver's upstream is let go while the stayer's is held, the departure did it. Order, no durations.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fake_upstream.script import Script
from harness.evidence import kept
from harness.sockets import Leave
from harness.stage import RESET, Stage
from harness.staged import StagedClient, StagedUpstream

Reached = Callable[[StagedClient, StagedUpstream], Awaitable[object]]
Then = Callable[[StagedUpstream], Awaitable[object]]
TRIES = 3
"""A proxy that hears its client late and has a time limit too may be overtaken by the limit once; hardly each time."""


async def _nothing(upstream: StagedUpstream) -> None:
    pass


async def depart(stage: Stage, script: Script, reached: Reached, how: Leave, then: Then = _nothing) -> None:
    """Stage a departure from the state that `reached` waits for. `evidence.stayed` judges it.

    `then` is what happens next at the upstream, whether or not the client has left. The first exchange is the
    departure; the fact `stayers` numbers those of clients that stayed, where they were needed.
    """
    stage.facts["stayers"] = []
    client, upstream = await stage.ask(script)
    await reached(client, upstream)
    client.leave(how)
    await then(upstream)
    if not await upstream.sees_the_target_leave():
        upstream.release(None)  # does it notice at its next write, or take everything?
        await upstream.is_done_with()
    elif stage.waits[-1].trips:
        for _ in range(TRIES):
            if await _outlives_a_departure(stage, script, reached, how, then):
                break


async def _outlives_a_departure(stage: Stage, script: Script, reached: Reached, how: Leave, then: Then) -> bool:
    """Whether a client that stays keeps its upstream while another one's is let go."""
    stayer, its_upstream = await stage.ask(script)
    stage.facts["stayers"].append(stayer.index)
    await reached(stayer, its_upstream)
    await then(its_upstream)
    await stage.let_pass()  # or both times might run out in one turn of the target's loop, in either order
    leaver, let_go = await stage.ask(script)
    await reached(leaver, let_go)
    leaver.leave(how)
    await then(let_go)
    await let_go.sees_the_target_leave()
    await stage.let_pass()
    held = kept(stage.exchanges()[stayer.index])
    stayer.leave(RESET)
    return held

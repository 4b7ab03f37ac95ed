"""Aborts, one after another: what do they leave behind, in sockets and in words? Counts, no time.

What a process says of tasks and generators that were not unwound in order is the only trace that most of them leave.
"""

from fake_upstream.pacing import burst, lockstep
from fake_upstream.script import Script
from harness.evidence import count
from harness.record import Record
from harness.stage import RESET, Stage
from harness.verdict import Finding, Judgement

CLAIM = "Repeated aborts leave no sockets open and no complaint about tasks, scopes or generators in the output."
KIND = "required"
CITES = ("pydantic/httpx2#1195", "BerriAI/litellm#34496", "encode/httpx#3782")
ALONE = APART = True
VARIANTS = {"50-aborts": 50}
ABORTED = Script(lockstep(2, 512), content_type="audio/mpeg")
NEXT = Script(burst(2, 512), content_type="audio/mpeg")
MOST = 10
"""Connections that a pool may keep; one would do."""
COMPLAINTS = (
    "exit cancel scope",
    "exit a cancel scope",
    "cancel scope stack corrupted",
    "asynchronous generator is already running",
    "generator didn't stop",
    "generator ignored GeneratorExit",
    "was never retrieved",
    "was never awaited",
    "Task was destroyed but it is pending",
    "was created in a different Context",
    "Unclosed c",
)
"""What Python, asyncio, trio, anyio and aiohttp say of what was not unwound in order; in any case of letters.

A logged traceback of a cancellation is none of these.
"""


async def play(stage: Stage) -> None:
    staged = heard = True
    for _ in range(stage.variant):
        client, upstream = await stage.ask(ABORTED)
        staged = staged and await client.holds(512, staging=True)
        if not staged and not await upstream.saw("asked", staging=True):
            break
        client.leave(RESET)
        heard = heard and await upstream.sees_the_target_leave()
        upstream.release(None)
        await upstream.is_done_with()
    client, _ = await stage.ask(NEXT)  # so that the proxy has had its turn to finish with the last one
    await client.ends()
    stage.facts["most"] = MOST if stage.declared.pool is None else stage.declared.pool
    stage.facts["open_connections"] = await stage.rests_with(stage.facts["most"])
    if (printed := await stage.printed()) is not None:
        stage.facts["complaints"] = [line.strip() for line in printed.splitlines() if complains(line)]


def complains(line: str) -> bool:
    return any(words.lower() in line.lower() for words in COMPLAINTS)


def judge(record: Record) -> Judgement:
    aborts = count(max(0, len(record.exchanges) - 1), "abort")
    left_open, most = record.facts.get("open_connections", 0), record.facts.get("most", MOST)
    if left_open > most:
        yield Finding(
            f"at most {count(most, 'connection')} open after {aborts}, one after another",
            f"{left_open} open",
            "a response is dropped, not closed, when its client leaves",
            "leak",
        )
    if complaints := record.facts.get("complaints", []):
        yield Finding(
            f"no complaint in the output after {aborts}",
            f"{count(len(complaints), 'line')}, the first: {complaints[0]}",
            "a stream is closed by another task than the one that pulls it, or a task that fails is awaited by nobody",
            "noise",
        )

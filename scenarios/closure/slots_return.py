"""Aborts, one after another, more than a pool has slots; then one request must still get through. A count, no time."""

from fake_upstream.pacing import lockstep
from fake_upstream.script import Script
from harness.evidence import held_back, how_it_ended
from harness.record import Record
from harness.stage import RESET, Stage
from harness.verdict import Finding, Judgement

CLAIM = "Aborted streams give their connection slots back."
KIND = "required"
CITES = ("BerriAI/litellm#21213", "BerriAI/litellm#30271", "encode/httpcore#1093", "maximhq/bifrost#6802")
# httpx and aiohttp allow 100 connections unless told otherwise.
VARIANTS = {"128-aborts": 128}
FEATURES = {"": "slots"}
ABORTED = Script(lockstep(2, 512), content_type="audio/mpeg")


async def play(stage: Stage) -> None:
    staged = True
    for _ in range((stage.declared.slots or stage.variant - 1) + 1):
        client, upstream = await stage.ask(ABORTED)
        staged = staged and await client.holds(512, staging=True)
        if not staged and not await upstream.saw("asked"):
            return
        client.leave(RESET)
    client, upstream = await stage.ask(ABORTED)
    upstream.release(None)
    await client.ends()


def judge(record: Record) -> Judgement:
    *aborted, last = record.exchanges
    starved = record.missed("saw")
    if starved or not (last.over and last.over.what == "ended" and last.received == last.offered):
        wait = starved or next(reversed(record.waits), None)
        yield Finding(
            f"an answer after {len(aborted)} aborted streams, as before them",
            held_back(last, wait) if wait else how_it_ended(last),
            "the upstream response must be closed when the client leaves, also on cancellation",
            "exhausted",
        )

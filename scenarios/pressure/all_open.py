"""More streams than the usual pool has connections, none of which ends before all are open. A count, no time."""

from fake_upstream.script import Chunk, Script
from harness.evidence import count, held_back, how_it_ended
from harness.record import Record
from harness.stage import Stage
from harness.verdict import Finding, Judgement

CLAIM = "The proxy keeps 101 streams open at the same time, or as many as it declares."
KIND = "required"
CITES = ("vllm-project/production-stack#765",)
# httpx and aiohttp allow 100 connections unless told otherwise.
VARIANTS = {"101-streams": 101}
SCRIPT = Script((Chunk(size=512), Chunk(size=512, gate=True)), content_type="audio/mpeg")


async def play(stage: Stage) -> None:
    most = min(stage.variant, stage.declared.slots or stage.variant)
    streams = [await stage.ask(SCRIPT) for _ in range(most)]
    for _, upstream in streams:
        if not await upstream.saw("asked"):
            break
    for _, upstream in streams:
        upstream.release(None)


def judge(record: Record) -> Judgement:
    wait = record.missed("saw")
    if wait is None:
        return
    opened = [exchange for exchange in record.exchanges if any(e.at <= wait.ended for e in exchange.seen("asked"))]
    left_out = record.exchanges[wait.exchange]
    yield Finding(
        f"{count(len(record.exchanges), 'stream')} open before any finishes",
        f"{count(len(opened), 'stream')} open; one that waits: "
        + (how_it_ended(left_out) if left_out.over else held_back(left_out, wait)),
        "a pool of upstream connections, or of workers, that is smaller than the number of listeners",
        "capped",
    )

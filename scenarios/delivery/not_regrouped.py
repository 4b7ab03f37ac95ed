"""Small chunks, one at a time: a proxy that fills a buffer first shows how big the buffer is."""

from fake_upstream.pacing import lockstep
from fake_upstream.script import Script
from harness.evidence import count, held_back
from harness.record import Record
from harness.stage import Stage
from harness.verdict import Finding, Judgement

CLAIM = "Small chunks are not collected into larger ones."
KIND = "required"
CITES = ("BerriAI/litellm#21373",)
VARIANTS = {"100": Script(lockstep(100, 100), content_type="audio/mpeg")}


async def play(stage: Stage) -> None:
    client, upstream = await stage.ask(stage.variant)
    for end in stage.variant.ends:
        if not await client.holds(end):
            upstream.release(None)  # in what pieces does the rest come?
            break
        upstream.release()
    await client.ends()


def judge(record: Record) -> Judgement:
    if wait := record.missed("holds"):
        (exchange,) = record.exchanges
        pieces = [e.size or 0 for e in exchange.client if e.what == "received" and e.at > wait.ended]
        size = exchange.script.chunks[0].size
        quantum = f"; the rest came in pieces of up to {count(max(pieces))}" if pieces else ""
        yield Finding(
            f"each chunk of {count(size)} on its own",
            held_back(exchange, wait) + quantum,
            "a fixed chunk size when reading the upstream collects bytes until it is full",
            "quantised",
        )

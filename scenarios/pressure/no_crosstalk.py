"""Many streams at once, each with bytes of its own, all sent at the same moment."""

from fake_upstream.script import Chunk, Script
from harness.evidence import count, difference
from harness.record import Exchange, Record
from harness.stage import Stage
from harness.verdict import Finding, Judgement

CLAIM = "Of streams at the same time none gets bytes of another."
KIND = "required"
CITES = ("sgl-project/sglang#36475", "RFC 9112, section 9.3")
SIZE = 3_000
CHUNKS = 12
VARIANTS = {"16-streams": 16}
TELLING = 16
"""Bytes by which a piece of another body is known."""


def script(seed: int) -> Script:
    first, *rest = [Chunk(size=SIZE)] * CHUNKS
    return Script((first, Chunk(size=SIZE, gate=True), *rest[1:]), content_type="audio/mpeg", seed=seed)


async def play(stage: Stage) -> None:
    streams = [await stage.ask(script(seed)) for seed in range(1, stage.variant + 1)]
    for client, _ in streams:
        if not await client.holds(SIZE, staging=True):
            break
    for _, upstream in streams:
        upstream.release(None)
    for client, _ in streams:
        if not await client.ends():
            break
    for number, exchange in enumerate(stage.exchanges(), 1):
        if parted(exchange):  # is it spoilt also if it is alone?
            stage.facts["alone"] = stage.variant
            client, upstream = await stage.ask(script(number))
            upstream.release(None)
            await client.ends()
            break


def judge(record: Record) -> Judgement:
    together = record.exchanges[: record.facts.get("alone")]
    alone = record.exchanges[len(together) :]
    spoilt = [(number, exchange) for number, exchange in enumerate(together, 1) if parted(exchange)]
    if not spoilt:
        return
    number, exchange = spoilt[0]
    at = next((i for i, (a, b) in enumerate(zip(exchange.received, exchange.offered, strict=False)) if a != b), None)
    piece = exchange.received[len(exchange.offered) if at is None else at :][:TELLING]
    owner = next((n for n, other in enumerate(together, 1) if other is not exchange and piece in other.offered), None)
    if owner is None and any(parted(exchange) for exchange in alone):
        return  # it spoils its bytes in any company: another claim's business
    yield Finding(
        f"{count(len(together), 'stream')}, each with its own bytes",
        f"{count(len(spoilt), 'stream')} with others; stream {number}: {parted(exchange)}"
        + (f", which belongs to stream {owner}" if owner else ""),
        "a buffer, a variable or a connection is used by more than one stream",
        "crosstalk" if owner else "spoilt",
    )


def parted(exchange: Exchange) -> str:
    return difference(exchange.received, exchange.offered)

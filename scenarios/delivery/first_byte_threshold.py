"""How much must be sent before the first byte comes out? A measurement."""

from itertools import pairwise

from fake_upstream.script import Chunk, Script
from harness.record import Record
from harness.stage import Stage
from harness.verdict import Finding, Judgement, Metric

CLAIM = "The first byte comes out as soon as one is sent."
KIND = "observed"
CITES = ("dstackai/dstack#4269", "air-verse/air#791", "boringproxy/boringproxy#177")
STEPS = (1, 512, 4_096, 8_192, 16_384, 65_536)
"""Bytes sent in all, step by step: the buffer sizes that proxies like."""
SIZES = [end - start for start, end in pairwise((0, *STEPS))]
VARIANTS = {
    "chunked": Script(tuple(Chunk(size=n, gate=i > 0) for i, n in enumerate(SIZES)), content_type="audio/mpeg"),
}


async def play(stage: Stage) -> None:
    client, upstream = await stage.ask(stage.variant)
    for _ in STEPS:
        if await client.holds(1):
            break
        upstream.release()
    upstream.release(None)
    await client.ends()


def judge(record: Record) -> Judgement:
    tried = [wait for wait in record.waits if wait.goal == "holds"]
    if tried and tried[-1].happened:
        yield Metric("first_byte_threshold_bytes", STEPS[len(tried) - 1])
    if not tried or not tried[0].happened:
        held = STEPS[len(tried) - 1] if tried and tried[-1].happened else None
        yield Finding("a byte at the client once 1 byte is sent", f"{held:,} bytes are needed" if held else "none came")

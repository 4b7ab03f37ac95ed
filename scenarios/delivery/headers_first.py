"""The head alone: no body byte exists until the client has status and headers."""

from fake_upstream.pacing import burst
from fake_upstream.script import Chunk, Script
from harness.evidence import held_back
from harness.record import Record
from harness.stage import Stage
from harness.verdict import Finding, Judgement

CLAIM = "The client has status and headers before the first audio byte exists."
KIND = "required"
CITES = ("caddyserver/caddy#4247", "caddyserver/caddy#6293", "dstackai/dstack#4269")
VARIANTS = {
    framing: Script((Chunk(size=512, gate=True), *burst(3, 512)), framing=framing, content_type="audio/mpeg")
    for framing in ("chunked", "content-length", "close-delimited", "http10")
}


async def play(stage: Stage) -> None:
    client, upstream = await stage.ask(stage.variant)
    await client.has_head()
    upstream.release()
    await client.ends()


def judge(record: Record) -> Judgement:
    if wait := record.missed("head"):
        yield Finding(
            "status and headers at the client, no body byte sent",
            held_back(record.exchanges[0], wait),
            "the head is written together with the first body bytes, or only once the body is complete",
            "withheld",
        )

"""All bytes are sent, the end marker is withheld: what the client lacks now, a proxy keeps back."""

from fake_upstream.pacing import burst
from fake_upstream.script import Ending, Script
from harness.evidence import count, held_back
from harness.record import Record
from harness.stage import Stage
from harness.verdict import Finding, Judgement

CLAIM = "The last bytes do not wait for the end marker."
KIND = "required"
CITES = ("haproxy/haproxy#3447",)
PLAIN = Script(content_type="audio/mpeg", ending=Ending(gate=True))
VARIANTS = {
    "chunked-700": PLAIN.but(chunks=burst(3, 700)),
    "close-delimited-5000": PLAIN.but(chunks=burst(3, 5_000), framing="close-delimited"),
    "http10-20000": PLAIN.but(chunks=burst(3, 20_000), framing="http10"),
}


async def play(stage: Stage) -> None:
    client, upstream = await stage.ask(stage.variant)
    await client.holds(stage.variant.total)
    upstream.release()
    await client.ends()


def judge(record: Record) -> Judgement:
    if wait := record.missed("holds"):
        (exchange,) = record.exchanges
        yield Finding(
            f"all {count(exchange.script.total)} at the client before the end marker is sent",
            held_back(exchange, wait),
            "one chunk is kept back to know whether it is the last, or a buffer is flushed only at the end",
            "blocked",
        )

"""A silence in mid-stream that the upstream means: a long thought, a queue, a slow voice. Nothing is wrong."""

from fake_upstream.script import Chunk, Script
from harness.evidence import count, spoilt
from harness.record import Record
from harness.stage import Stage
from harness.verdict import Finding, Judgement

CLAIM = "A stream survives a silence of 30 seconds."
KIND = "desired"
CITES = ("BYK/loreai#689",)
SLOW = True
GAP = 30.0
VARIANTS = {"30s": Script((Chunk(size=512), Chunk(size=512, after=GAP)), content_type="audio/mpeg")}


async def play(stage: Stage) -> None:
    client, upstream = await stage.ask(stage.variant)
    await client.holds(512, staging=True)
    # The upstream keeps to its own clock: it will go on, or has been let go before.
    await upstream.is_done_with(floor=2 * GAP, staging=True)
    await client.ends()


def judge(record: Record) -> Judgement:
    (exchange,) = record.exchanges
    if actual := spoilt(exchange):
        cut = exchange.let_go is not None and not exchange.seen("finished")
        yield Finding(
            f"{count(exchange.script.total)}, half of them after a silence of {GAP:.0f} s",
            actual + ("; the proxy let the upstream go during the silence" if cut else ""),
            "a time limit between two reads: httpx has 5 s unless told otherwise, nginx 60 s",
            "time_limit" if cut else "",
        )

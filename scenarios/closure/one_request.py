"""The upstream bills every request; a client's one request is one there, too."""

from fake_upstream.pacing import burst
from fake_upstream.script import Script
from harness.evidence import how_it_ended
from harness.record import Record
from harness.stage import Stage
from harness.verdict import Finding, Judgement

CLAIM = "One client request makes exactly one upstream request."
KIND = "required"
CITES = ("NuGuardAI/nuguard#455", "ag2ai/ag2#3215")
VARIANTS = {"success": Script(burst(4, 1_000), content_type="audio/mpeg")}


async def play(stage: Stage) -> None:
    client, _ = await stage.ask(stage.variant)
    await client.ends()


def judge(record: Record) -> Judgement:
    (exchange,) = record.exchanges
    if exchange.attempts != 1:
        yield Finding(
            "1 request at the upstream",
            f"{exchange.attempts} requests; {how_it_ended(exchange)}",
            "a retry, a probe, or a stream that is opened once for its head and again for its body",
            "none" if not exchange.attempts else "several",
        )

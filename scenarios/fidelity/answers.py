"""A plain request, answered at all. Every other claim needs it: an error that is always the same keeps half of them."""

from fake_upstream.pacing import burst
from fake_upstream.script import Script
from harness.evidence import how_it_ended
from harness.record import Record
from harness.stage import Stage
from harness.verdict import Finding, Judgement

CLAIM = "A request that the upstream answers with 200 is answered with 200."
KIND = "required"
CITES = ("RFC 9110, section 15.3.1: 200 OK",)
VARIANTS = {"plain": Script(burst(2, 500), content_type="audio/mpeg")}


async def play(stage: Stage) -> None:
    client, _ = await stage.ask(stage.variant)
    await client.ends()


def judge(record: Record) -> Judgement:
    (exchange,) = record.exchanges
    if exchange.status != exchange.script.status:
        yield Finding(
            f"status {exchange.script.status}",
            how_it_ended(exchange),
            "is the target pointed at the upstream, and does it take the model, the voice and the key that were sent?",
            "no answer",
        )

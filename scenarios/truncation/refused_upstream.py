"""No upstream at all, or one that closes before its head."""

from fake_upstream import faults
from fake_upstream.pacing import burst
from fake_upstream.script import Script
from harness.evidence import how_it_ended
from harness.record import Record
from harness.stage import Stage
from harness.verdict import Finding, Judgement

CLAIM = "An upstream that cannot be reached, or closes before its head, becomes a 5xx, not an empty 200."
KIND = "required"
CITES = ("BerriAI/litellm#33222",)
ALONE = True
PLAIN = Script(burst(2, 500), content_type="audio/mpeg")
VARIANTS = {
    "refused": PLAIN,
    "fin": faults.empty_response(PLAIN),
    "reset": faults.empty_response(PLAIN, "reset"),
}


async def play(stage: Stage) -> None:
    if stage.variant.silent:
        client, _ = await stage.ask(stage.variant)
        await client.ends()
    else:
        async with stage.refusing():
            client, _ = await stage.ask(stage.variant)
            await client.ends()


def judge(record: Record) -> Judgement:
    (exchange,) = record.exchanges
    if exchange.status is None or exchange.status < 500:
        yield Finding(
            "a status of 500 or more",
            how_it_ended(exchange),
            "the head is sent before the upstream has answered",
            "empty" if exchange.status == 200 else "",
        )

"""Somebody is billed by the `done` event's numbers."""

from fake_upstream.pcm import tones
from fake_upstream.spoken import sse_script
from fake_upstream.sse import Usage, usage_of
from harness.evidence import how_it_ended
from harness.record import Record
from harness.stage import Stage
from harness.verdict import Finding, Judgement

CLAIM = "The done event carries the upstream's usage unchanged."
KIND = "required"
CITES = ("OpenAI API reference, Create speech: speech.audio.done",)
USAGE = Usage(14, 101, 115)
VARIANTS = {"3-events": sse_script(tones(3, 2_400), events=3, usage=USAGE)}


async def play(stage: Stage) -> None:
    client, _ = await stage.ask(stage.variant, fields={"stream_format": "sse"})
    await client.ends()


def judge(record: Record) -> Judgement:
    (exchange,) = record.exchanges
    usage = usage_of(exchange.received)
    if usage != USAGE:
        yield Finding(
            f"{USAGE}", f"{usage or 'no usage'}; {how_it_ended(exchange)}", "", "changed" if usage else "lost"
        )

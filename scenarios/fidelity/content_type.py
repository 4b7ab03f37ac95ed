"""A player chooses its decoder by the content type."""

from fake_upstream.pacing import burst
from fake_upstream.script import Script
from fake_upstream.speech import CONTENT_TYPES
from harness.evidence import how_it_ended
from harness.record import Record
from harness.stage import Stage
from harness.verdict import Finding, Judgement

CLAIM = "The content type reaches the client as the upstream said it."
KIND = "required"
CITES = ("BerriAI/litellm#38798", "Portkey-AI/gateway#209")
FORMATS = ("wav", "mp3", "opus", "aac", "flac", "pcm")
VARIANTS = {name: Script(burst(2, 500), content_type=CONTENT_TYPES[name]) for name in FORMATS}


async def play(stage: Stage) -> None:
    client, _ = await stage.ask(stage.variant)
    await client.ends()


def judge(record: Record) -> Judgement:
    (exchange,) = record.exchanges
    given = dict(exchange.headers).get("content-type")
    if exchange.status != exchange.script.status or given != exchange.script.content_type:
        yield Finding(
            f"status {exchange.script.status}, content-type: {exchange.script.content_type}",
            f"content-type: {given}; {how_it_ended(exchange)}",
            "a gateway that names the type itself knows only the default, audio/mpeg",
            "forced",
        )

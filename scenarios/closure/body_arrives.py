"""The whole body, byte for byte: a stream that is tied to a closed context answers 200 and yields nothing."""

from fake_upstream.pacing import burst
from fake_upstream.script import Script
from harness.evidence import count, difference, how_it_ended
from harness.record import Record
from harness.stage import Stage
from harness.verdict import Finding, Judgement

CLAIM = "A 200 carries the whole body."
KIND = "required"
CITES = (
    "BerriAI/litellm#14892",
    "openai/openai-python#864",
    "encode/httpx#830",
    "vllm-project/production-stack#952",
    "fastapi/fastapi#14099",
    "Portkey-AI/gateway#1389",
)
VARIANTS = {
    "512": Script(burst(16, 512), content_type="audio/mpeg"),
    "1": Script(burst(64, 1), content_type="audio/mpeg"),
    "4096": Script(burst(8, 4_096), content_type="audio/wav", payload="wav", framing="content-length"),
    "9000": Script(burst(8, 9_000), content_type="audio/pcm", payload="pcm", framing="close-delimited"),
    "65536": Script(burst(8, 65_536), content_type="audio/mpeg"),
    "65536-http10": Script(burst(8, 65_536), content_type="audio/mpeg", framing="http10"),
    "empty": Script(content_type="audio/mpeg"),
}


async def play(stage: Stage) -> None:
    client, _ = await stage.ask(stage.variant)
    await client.ends()


def judge(record: Record) -> Judgement:
    (exchange,) = record.exchanges
    whole = exchange.over is not None and exchange.over.what == "ended" and exchange.status == 200
    if whole and exchange.received == exchange.offered:
        return
    parted = difference(exchange.received, exchange.offered)
    yield Finding(
        f"status 200 and {count(exchange.script.total)}",
        how_it_ended(exchange) + (f"; {parted}" if parted else ""),
        "" if exchange.received else "was the upstream's context closed before the body was iterated?",
        "empty" if not exchange.received and exchange.script.total else "",
    )

"""Bytes that somebody might take for something else: NUL, 0xFF, line ends, a last chunk in the middle."""

from fake_upstream.pacing import burst
from fake_upstream.script import Script
from harness.evidence import count, difference, how_it_ended
from harness.record import Record
from harness.stage import Stage
from harness.verdict import Finding, Judgement

CLAIM = "Audio passes byte for byte, whatever the bytes are."
KIND = "required"
CITES = ("remsky/Kokoro-FastAPI#337", "RFC 9110, section 6.4: content is a stream of octets")
VARIANTS = {
    "hostile-4096": Script(burst(8, 4_096), content_type="audio/mpeg", payload="hostile"),
    "hostile-7": Script(burst(64, 7), content_type="audio/wav", payload="hostile", seed=1),
    "hostile-length": Script(burst(3, 30_000), content_type="audio/pcm", payload="hostile", framing="content-length"),
    "random-100000": Script(burst(4, 100_000), content_type="application/octet-stream", seed=2),
}


async def play(stage: Stage) -> None:
    client, _ = await stage.ask(stage.variant)
    await client.ends()


def judge(record: Record) -> Judgement:
    (exchange,) = record.exchanges
    if exchange.received != exchange.offered:
        parted = difference(exchange.received, exchange.offered)
        yield Finding(
            f"{count(exchange.script.total)}, as sent",
            f"{how_it_ended(exchange)}{'; ' + parted if parted else ''}",
            "audio was decoded as text, or a line end was translated",
            "changed",
        )

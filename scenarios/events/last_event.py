"""An upstream that ends without the last blank line: to a listener no event, to a careful proxy bytes."""

from fake_upstream.pcm import tones
from fake_upstream.spoken import sse_script
from fake_upstream.sse import AudioDecoder
from fake_upstream.sse_forms import without_last_blank_line
from harness.evidence import how_it_ended
from harness.record import Record
from harness.stage import Stage
from harness.verdict import Finding, Judgement

CLAIM = "A last event that no blank line follows still reaches the client."
KIND = "desired"
CITES = ("higress-group/higress#4620", "WHATWG HTML, section 9.2.6: an incomplete event is discarded")
AUDIO = tones(8, 2_400)
VARIANTS = {"no-blank-line": without_last_blank_line(sse_script(AUDIO, events=3))}


async def play(stage: Stage) -> None:
    client, _ = await stage.ask(stage.variant, fields={"stream_format": "sse"})
    await client.ends()


def judge(record: Record) -> Judgement:
    (exchange,) = record.exchanges
    decoder = AudioDecoder()
    decoder.feed(exchange.received + b"\n\n")  # who keeps the bytes may leave the blank line to us
    if not decoder.done:
        yield Finding(
            "the done event's bytes at the client",
            f"its data did not come; {how_it_ended(exchange)}",
            "events are written anew, and what is left when the upstream ends is thrown away",
            "lost",
        )

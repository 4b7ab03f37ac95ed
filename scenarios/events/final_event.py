"""The last event is complete with its blank line, and need not wait for the end of the response."""

from fake_upstream.pcm import tones
from fake_upstream.script import Ending
from fake_upstream.spoken import sse_script
from harness.evidence import count, held_back
from harness.record import Record
from harness.stage import Stage
from harness.verdict import Finding, Judgement

CLAIM = "The last complete event arrives before the response ends."
KIND = "required"
CITES = ("WHATWG HTML, section 9.2.6: a blank line dispatches the event", "haproxy/haproxy#3447")
AUDIO = tones(7, 2_400)
VARIANTS = {"3-events": sse_script(AUDIO, events=3).but(ending=Ending(gate=True))}


async def play(stage: Stage) -> None:
    client, upstream = await stage.ask(stage.variant, fields={"stream_format": "sse"})
    if await client.hears(len(AUDIO)):
        await client.hears_the_end()
    upstream.release()
    await client.ends()


def judge(record: Record) -> Judgement:
    if wait := record.missed("holds"):
        (exchange,) = record.exchanges
        yield Finding(
            f"all {count(len(exchange.script.chunks), 'event')} at the client before the end of the response",
            f"bytes of the stream at the client: {held_back(exchange, wait)}",
            "an event is kept back until another one follows, or until the upstream ends",
            "blocked",
        )

"""The upstream fails with its 200 long sent: what is left to say it with is the body."""

import json

from fake_upstream.pcm import tones
from fake_upstream.script import Chunk, Script
from fake_upstream.speech import error_body
from fake_upstream.spoken import sse_error, sse_script
from fake_upstream.sse import AudioDecoder
from harness.evidence import how_it_ended
from harness.record import Record
from harness.stage import Stage
from harness.verdict import Finding, Judgement

CLAIM = "An error that the upstream sends as the body of a 200 does not pass for audio."
KIND = "observed"
CITES = ("BerriAI/litellm#33404", "OpenAI client libraries raise on an `error` object in an event stream")
MESSAGE = "scripted failure"
DOCUMENT = json.dumps(error_body(500, MESSAGE))
VARIANTS = {
    "document": Script(
        (Chunk(size=len(DOCUMENT)),), content_type="audio/mpeg", payload="text", text=DOCUMENT, framing="content-length"
    ),
    "event": sse_error(sse_script(tones(11, 2_400), events=3), 2, MESSAGE),
}


async def play(stage: Stage) -> None:
    events = {"stream_format": "sse"} if stage.variant.payload == "sse" else {}
    client, _ = await stage.ask(stage.variant, fields=events)
    await client.ends()


def judge(record: Record) -> Judgement:
    (exchange,) = record.exchanges
    if exchange.status is None or exchange.status >= 500 or (exchange.over and exchange.over.what == "broke"):
        return  # seen, and said
    decoder = AudioDecoder()
    decoder.feed(exchange.received)
    if exchange.script.payload == "sse":
        if decoder.error is None:
            yield Finding("the error event at the client", f"none came; {how_it_ended(exchange)}", "", "lost")
    elif not dict(exchange.headers).get("content-type", "").startswith("application/json"):
        hint = "only who looks into the body can tell it from audio"
        yield Finding("an error, or a body that is called JSON", how_it_ended(exchange), hint, "unseen")

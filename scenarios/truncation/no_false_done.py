"""The upstream dies in the middle of an event stream; nobody may say that the speech is complete."""

from fake_upstream import faults
from fake_upstream.pcm import tones
from fake_upstream.spoken import sse_script
from fake_upstream.sse import is_done
from harness.evidence import how_it_ended
from harness.record import Record
from harness.stage import Stage
from harness.verdict import Finding, Judgement

CLAIM = "An event stream that was cut gets no `speech.audio.done` and no `[DONE]`."
KIND = "required"
CITES = ("BerriAI/litellm#33404", "open-webui/open-webui#29628")
AUDIO = tones(10, 2_400)
SENT = 1_600
WHOLE = sse_script(AUDIO, events=3)
PART = faults.limit_data(WHOLE, WHOLE.ends[1])
VARIANTS = {
    "fin": faults.cut(PART, gate=True),
    "reset": faults.reset_peer(PART, gate=True),
    "malformed": faults.malformed_response_chunk(PART, gate=True),
    "inside-an-event": faults.cut(faults.limit_data(WHOLE, WHOLE.ends[2] - 40), gate=True),
}


async def play(stage: Stage) -> None:
    client, upstream = await stage.ask(stage.variant, fields={"stream_format": "sse"})
    await client.hears(SENT, staging=True)
    upstream.release(None)
    await client.ends()


def judge(record: Record) -> Judgement:
    (exchange,) = record.exchanges
    if is_done(exchange.received):
        yield Finding(
            "no event that says that the speech is complete",
            f"one that does; {how_it_ended(exchange)}",
            "the end of the upstream's stream, whatever it was, is answered with the proxy's own done event",
            "false done",
        )

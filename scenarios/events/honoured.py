"""A client that asks for server-sent events gets them, under their own name."""

from fake_upstream.pcm import tones
from fake_upstream.spoken import sse_script
from fake_upstream.sse import CONTENT_TYPE, audio_of
from harness.evidence import count, how_it_ended
from harness.record import Record
from harness.stage import Stage
from harness.verdict import Finding, Judgement

CLAIM = "`stream_format: sse` gets an event stream that carries the audio."
KIND = "required"
CITES = ("OpenAI API reference, Create speech", "BerriAI/litellm#38798")
AUDIO = tones(1, 9_600)
VARIANTS = {"6-events": sse_script(AUDIO, events=6)}


async def play(stage: Stage) -> None:
    client, _ = await stage.ask(stage.variant, fields={"stream_format": "sse"})
    await client.ends()


def judge(record: Record) -> Judgement:
    (exchange,) = record.exchanges
    given = dict(exchange.headers).get("content-type", "")
    if not given.startswith(CONTENT_TYPE):
        hint = "the stream is named after the audio format, and players and SDKs take it for audio"
        yield Finding(
            f"content-type: {CONTENT_TYPE}", f"content-type: {given}; {how_it_ended(exchange)}", hint, "label"
        )
    audio = audio_of(exchange.received)
    if audio != AUDIO:
        yield Finding(
            f"{count(len(AUDIO))} of audio in the events",
            f"{count(len(audio))}{', not the same' if len(audio) == len(AUDIO) else ''}; {how_it_ended(exchange)}",
            "",
            "changed",
        )

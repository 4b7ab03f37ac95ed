"""What arrived must play: as long as what was sent, in the format that was asked for."""

from fake_upstream.decoded import Undecodable, decode
from fake_upstream.utterance import Speech
from harness.evidence import how_it_ended
from harness.record import Record
from harness.stage import Stage
from harness.verdict import Finding, Judgement

CLAIM = "What arrived decodes, in the format asked for, to the length that was sent."
KIND = "required"
CITES = ("BerriAI/litellm#38798", "BerriAI/litellm#14892: 200 and no audio")
TEXT = "The quick brown fox jumps over the lazy dog."
FORMATS = ("wav", "mp3", "opus", "aac", "flac", "pcm")
VARIANTS = {name: Speech(TEXT, response_format=name) for name in FORMATS}
FRAMES = 2
FRAME_SECONDS = {"mp3": 0.024, "opus": 0.1, "aac": 1024 / 24_000, "flac": 0.024, "wav": 0.02, "pcm": 0.02}
"""How long one frame of a codec plays, or one page of Ogg."""


async def play(stage: Stage) -> None:
    client, _ = await stage.ask(await stage.spoken(stage.variant))
    await client.ends()


def judge(record: Record) -> Judgement:
    (exchange,) = record.exchanges
    assert exchange.script.speech is not None
    name = exchange.script.speech.response_format
    sent = decode(exchange.offered, name)
    try:
        came = decode(exchange.received, name)
    except Undecodable as error:
        yield Finding(f"{sent.seconds:.2f} s of {sent.codec}", f"{error}; {how_it_ended(exchange)}", "", "unplayable")
        return
    if came.codec != sent.codec or abs(came.seconds - sent.seconds) > FRAMES * FRAME_SECONDS[name]:
        actual = f"{came.seconds:.2f} s of {came.codec}; {how_it_ended(exchange)}"
        yield Finding(f"{sent.seconds:.2f} s of {sent.codec}", actual, "", "other length")

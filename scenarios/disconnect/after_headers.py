"""The client leaves between the head and the first byte of audio."""

from fake_upstream.script import Chunk, Script
from harness.departure import depart
from harness.evidence import stayed
from harness.record import Record
from harness.stage import FIN, RESET, Stage
from harness.verdict import Judgement

CLAIM = "When the client leaves after the head, before any audio, the upstream is let go."
KIND = "required"
CITES = ("headroomlabs-ai/headroom#2882",)
VARIANTS = {"reset": RESET, "fin": FIN}
FEATURES = {"fin": "fin"}
SCRIPT = Script((Chunk(size=512, gate=True), Chunk(size=512, gate=True)), content_type="audio/mpeg")


async def play(stage: Stage) -> None:
    await depart(stage, SCRIPT, lambda client, _: client.has_head(staging=True), stage.variant)


def judge(record: Record) -> Judgement:
    yield from stayed(record, "the disconnect is watched for only once bytes flow")

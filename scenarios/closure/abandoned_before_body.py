"""The client is gone when the upstream's head comes at last: who closes a response that nobody will iterate?

A request of another client passes in between, so that the proxy has had its turn to hear of the departure.
"""

from fake_upstream.pacing import burst
from fake_upstream.script import Chunk, Script, Step
from harness.departure import depart
from harness.evidence import stayed
from harness.record import Record
from harness.stage import FIN, RESET, Stage
from harness.staged import StagedUpstream
from harness.verdict import Judgement

CLAIM = "A client that left while the proxy waited for the head leaves no response behind that nobody iterates."
KIND = "required"
CITES = ("headroomlabs-ai/headroom#2882", "opensandbox-group/OpenSandbox#1488", "vllm-project/vllm-ascend#14371")
VARIANTS = {"reset": RESET, "fin": FIN}
FEATURES = {"fin": "fin"}
SCRIPT = Script((Chunk(size=512, gate=True),), head=Step(gate=True), content_type="audio/mpeg")
ANOTHER = Script(burst(1, 512), content_type="audio/mpeg")


async def play(stage: Stage) -> None:
    async def head_comes(upstream: StagedUpstream) -> None:
        passer_by, _ = await stage.ask(ANOTHER)
        await passer_by.ends()
        upstream.release()

    await depart(stage, SCRIPT, lambda _, upstream: upstream.saw("asked", staging=True), stage.variant, then=head_comes)


def judge(record: Record) -> Judgement:
    yield from stayed(record, "the response was opened for a client that had left, and was dropped without a close")

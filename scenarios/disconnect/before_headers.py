"""The client leaves while the upstream has not even answered: a generation that nobody will hear."""

from fake_upstream.pacing import burst
from fake_upstream.script import Script, Step
from harness.departure import depart
from harness.evidence import stayed
from harness.record import Record
from harness.stage import FIN, RESET, Stage
from harness.verdict import Judgement

CLAIM = "Leaving before the upstream answered cancels the upstream request."
KIND = "desired"
CITES = ("BerriAI/litellm#31499", "Mesh-LLM/mesh-llm#1406", "maximhq/bifrost#7199")
VARIANTS = {"reset": RESET, "fin": FIN}
FEATURES = {"fin": "fin"}
SCRIPT = Script(burst(2, 512), head=Step(gate=True), content_type="audio/mpeg")


async def play(stage: Stage) -> None:
    await depart(stage, SCRIPT, lambda _, upstream: upstream.saw("asked", staging=True), stage.variant)


def judge(record: Record) -> Judgement:
    yield from stayed(record, "the upstream is awaited before anybody watches the client")

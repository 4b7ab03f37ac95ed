"""After a client that left and an upstream that died, the next request is exact."""

from fake_upstream import faults
from fake_upstream.pacing import burst, lockstep
from fake_upstream.script import Script
from harness.evidence import first_spoilt
from harness.record import Record
from harness.stage import RESET, Stage
from harness.verdict import Judgement

CLAIM = "After an abort and after a cut the next request is exact."
KIND = "required"
CITES = ("musistudio/claude-code-router#1506", "sgl-project/sglang#36475", "remsky/Kokoro-FastAPI#337")
VARIANTS = {"abort": False, "cut": True}
ABORTED = Script(lockstep(3, 700), content_type="audio/mpeg", seed=1)
CUT = faults.cut(Script(burst(3, 700), content_type="audio/mpeg", seed=2), gate=True)
NEXT = Script(burst(4, 900), content_type="audio/mpeg", seed=3)


async def play(stage: Stage) -> None:
    client, upstream = await stage.ask(CUT if stage.variant else ABORTED)
    await client.holds(700, staging=True)
    if stage.variant:
        upstream.release()
        await client.ends()
    else:
        client.leave(RESET)
        await upstream.sees_the_target_leave()
    for _ in range(3):
        client, _ = await stage.ask(NEXT)
        await client.ends()


def judge(record: Record) -> Judgement:
    hint = "a buffer or a connection of the stream that broke is used again"
    yield from first_spoilt(record.exchanges[1:], " afterwards", hint, "unclean")

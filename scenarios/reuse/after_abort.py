"""What the upstream still sends of a stream that its client left must not become part of another answer.

Late bytes may lie on the old connection when the next request is sent, or come after it.
"""

from fake_upstream.pacing import burst, lockstep
from fake_upstream.script import Script
from harness.evidence import first_spoilt
from harness.record import Record
from harness.stage import RESET, Stage
from harness.verdict import Judgement

CLAIM = "After an abort, late bytes on the old connection reach no other client."
KIND = "required"
CITES = ("membrane/api-gateway#3187",)
VARIANTS = {"before-next": False, "after-next": True}
ABORTED = Script(lockstep(4, 700), content_type="audio/mpeg", seed=1)
NEXT = Script(burst(4, 900), content_type="audio/mpeg", seed=2)


async def play(stage: Stage) -> None:
    client, upstream = await stage.ask(ABORTED)
    await client.holds(700, staging=True)
    client.leave(RESET)
    if stage.variant:
        client, next_upstream = await stage.ask(NEXT)
        await next_upstream.saw(
            "asked", staging=True
        )  # on the old connection it is not seen before the old stream ends
        upstream.release(None)
    else:
        if not await upstream.sees_the_target_leave():
            upstream.release(None)
            await upstream.is_done_with()
        client, _ = await stage.ask(NEXT)
    await client.ends()
    for _ in range(2):
        client, _ = await stage.ask(NEXT)
        await client.ends()


def judge(record: Record) -> Judgement:
    hint = "a connection whose response was not read to its end went back to the pool"
    yield from first_spoilt(record.exchanges[1:], " afterwards", hint, "late_bytes")

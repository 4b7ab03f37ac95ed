"""A connection that waits in the proxy's pool is closed by the upstream, as every server does after a while.

The upstream says nothing of it beforehand: no `Connection: close`, and the response was complete.
"""

from fake_upstream.pacing import burst
from fake_upstream.script import Script
from harness.evidence import first_spoilt
from harness.record import Record
from harness.stage import FIN, RESET, Stage
from harness.verdict import Judgement

CLAIM = "After the upstream closed an idle connection the next request works."
KIND = "required"
CITES = ("open-webui/terminals#24", "sozu-proxy/sozu#1442")
ALONE = True
VARIANTS = {"fin": FIN, "reset": RESET}
FIRST = Script(burst(3, 700), content_type="audio/mpeg", seed=1)
NEXT = Script(burst(4, 900), content_type="audio/mpeg", seed=2)


async def play(stage: Stage) -> None:
    async with stage.refusing():  # resets what earlier requests left in the pool: the next one must not find it
        pass
    client, _ = await stage.ask(FIRST)
    await client.ends()
    if stage.variant == FIN:
        await stage.close_idle()
    else:
        async with stage.refusing():
            pass
    client, _ = await stage.ask(NEXT)
    await client.ends()


def judge(record: Record) -> Judgement:
    hint = "a pooled connection is used without a look whether it is still open; asking again is allowed here"
    yield from first_spoilt(record.exchanges, ", after idle connections were closed", hint, "stale")

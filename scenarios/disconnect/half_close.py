"""The client says that it will send nothing more, and goes on reading. HTTP leaves open whether that is a departure."""

from fake_upstream.pacing import burst, lockstep
from fake_upstream.script import Script
from harness.evidence import count, spoilt
from harness.record import Record
from harness.stage import Stage
from harness.verdict import Finding, Judgement

CLAIM = "A client that only closes its sending side still gets the whole body."
KIND = "observed"
CITES = ("RFC 9112, section 9.6", "RFC 9293, section 3.6")
VARIANTS = {"mid-stream": Script(lockstep(3, 512), content_type="audio/mpeg")}
ANOTHER = Script(burst(1, 512), content_type="audio/mpeg")


async def play(stage: Stage) -> None:
    client, upstream = await stage.ask(stage.variant)
    await client.holds(512, staging=True)
    client.half_close()
    passer_by, _ = await stage.ask(ANOTHER)  # so that the proxy has had its turn to hear of it
    await passer_by.ends()
    upstream.release(None)
    await client.ends()


def judge(record: Record) -> Judgement:
    exchange = record.exchanges[0]
    if actual := spoilt(exchange):
        yield Finding(
            f"{count(exchange.script.total)}; a target that promises so declares fin = half-close",
            actual,
            "to an ASGI app under most servers a half-close is `http.disconnect`",
            "aborts",
        )

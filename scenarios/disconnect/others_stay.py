"""Three clients in mid-stream, and one of them leaves."""

from fake_upstream.pacing import burst, lockstep
from fake_upstream.script import Script
from harness.evidence import count, how_it_ended
from harness.record import Exchange, Record
from harness.stage import FIN, RESET, Stage
from harness.verdict import Finding, Judgement

CLAIM = "A client that leaves takes no other stream along."
KIND = "required"
CITES = ("RFC 9110, section 3.3",)
VARIANTS = {"reset": RESET, "fin": FIN}
FEATURES = {"fin": "fin"}
SIZE = 600
SCRIPT = Script(lockstep(3, SIZE), content_type="audio/mpeg")
ANOTHER = Script(burst(1, 512), content_type="audio/mpeg")


async def play(stage: Stage) -> None:
    streams = [await stage.ask(SCRIPT) for _ in range(3)]
    for client, _ in streams:
        if not await client.holds(SIZE, staging=True):
            break
    (leaver, _), *others = streams
    leaver.leave(stage.variant)
    passer_by, _ = await stage.ask(ANOTHER)  # so that the proxy has had its turn to act on the departure
    await passer_by.ends()
    for client, upstream in others:
        upstream.release(None)
        await client.ends()


def judge(record: Record) -> Judgement:
    others = record.exchanges[1:3]
    harmed = [exchange for exchange in others if lost_its_rest(exchange)]
    if harmed:
        yield Finding(
            "whole streams for the clients that stayed",
            f"{len(harmed)} of {count(len(others), 'stream')} not whole; {how_it_ended(harmed[0])}",
            "what is cancelled or closed when a client leaves is shared by several requests",
            "taken along",
        )


def lost_its_rest(exchange: Exchange) -> bool:
    """Whether it began as it should and went no further: what never begins is another claim's business."""
    return SIZE <= len(exchange.received) < exchange.script.total

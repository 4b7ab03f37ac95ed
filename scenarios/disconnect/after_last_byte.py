"""The client has every byte and leaves before the end is said: nothing to save, nothing to ask again."""

from fake_upstream.pacing import burst
from fake_upstream.script import Ending, Script
from harness.evidence import count, departure, spoilt
from harness.record import Record
from harness.stage import FIN, RESET, Stage
from harness.verdict import Finding, Judgement

CLAIM = "A client that leaves between the last byte and the end causes no retry, and the next request is exact."
KIND = "required"
CITES = ("RFC 9112, section 9.6", "musistudio/claude-code-router#1506")
VARIANTS = {"reset": RESET, "fin": FIN}
FEATURES = {"fin": "fin"}
SCRIPT = Script(burst(3, 700), ending=Ending(gate=True), content_type="audio/mpeg", seed=1)
NEXT = Script(burst(4, 900), content_type="audio/mpeg", seed=2)


async def play(stage: Stage) -> None:
    client, upstream = await stage.ask(SCRIPT)
    await client.holds(SCRIPT.total, staging=True)
    client.leave(stage.variant)
    passer_by, _ = await stage.ask(NEXT)  # so that the proxy has had its turn to hear of the departure
    await passer_by.ends()
    upstream.release()
    await upstream.is_done_with()
    client, _ = await stage.ask(NEXT)
    await client.ends()


def judge(record: Record) -> Judgement:
    first, *others = record.exchanges
    left = departure(first)
    again = [event for event in first.seen("asked") if left and event.at > left.at]
    if again:
        yield Finding(
            "no request at the upstream for a client that had every byte and left",
            count(len(again), "request"),
            "a stream whose end was not seen is taken for one that failed",
            "retry",
        )
    for number, exchange in enumerate(others, 1):
        if actual := spoilt(exchange):
            yield Finding(
                f"request {number} afterwards: {count(exchange.script.total)}, exact",
                actual,
                "the connection of the stream that was left is used again as it is",
                "unclean",
            )
            return

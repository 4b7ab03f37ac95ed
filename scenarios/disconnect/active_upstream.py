"""The client leaves just as the upstream sends all it has: how much does the proxy take? Bytes, no time.

The flood is let go in the instant in which the client leaves. Were it under way before, a proxy that reads without
limit would have taken as much of it as its machine is fast.
"""

from fake_upstream.pacing import burst
from fake_upstream.script import Chunk, Script
from harness.evidence import count, how_it_ended
from harness.record import Record
from harness.stage import FIN, RESET, Stage
from harness.verdict import Finding, Judgement, Metric

CLAIM = "When the client leaves mid-stream, the proxy stops taking what the upstream sends."
KIND = "required"
CITES = ("smg-project/smg#2136", "QuantumNous/new-api#4186", "Kludex/uvicorn#2754")
VARIANTS = {"reset": RESET, "fin": FIN}
FEATURES = {"fin": "fin"}
SIZE = 62_500
SCRIPT = Script((*burst(20, SIZE), Chunk(size=SIZE, gate=True), *burst(3_179, SIZE)), content_type="audio/mpeg")
"""200 MB on offer, 1.25 MB of it at once."""
MOST = 64_000_000
"""Good proxies are 3 to 12 MB ahead of their client; kernel buffers account for most of that."""
HELD = 1_000_000


async def play(stage: Stage) -> None:
    client, upstream = await stage.ask(SCRIPT)
    await client.holds(HELD, staging=True)
    upstream.release()
    client.leave(stage.variant)
    taken = None
    while not await upstream.is_done_with():  # on a slow machine 200 MB take longer than patience lasts
        before, taken = taken, stage.exchanges()[0].emitted_bytes()
        if taken in (0, before):
            break


def judge(record: Record) -> Judgement:
    (exchange,) = record.exchanges
    taken = exchange.emitted_bytes()
    if not exchange.attempts:
        actual, kind = how_it_ended(exchange), ""
    elif not (exchange.let_go or exchange.seen("finished")):
        actual, kind = f"the proxy keeps the stream open and takes nothing more ({count(taken)} so far)", "wedged"
    elif exchange.seen("finished"):
        actual, kind = f"the proxy took all {count(taken)}", "drained all"
    elif taken > MOST:
        actual, kind = f"the proxy stopped after {count(taken)}", "stopped late"
    else:
        yield Metric("taken_after_leaving_bytes", taken - exchange.received_bytes())
        return
    yield Finding(
        f"the proxy stops within {count(MOST)} of the {count(SCRIPT.total)} on offer",
        actual,
        "the response to a client that is gone is still being read to its end",
        kind,
    )

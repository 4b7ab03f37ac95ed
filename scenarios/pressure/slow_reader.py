"""A client reads nothing while the upstream has 200 MB to give: how much does the proxy take? Bytes, no time.

At rest is a stream for which nothing more is taken while several others pass, one after the other. The kernel's buffers
are kept small at our two ends; those of the proxy's sockets are its own, and count. Stages for stalled_neighbour too.
"""

from fake_upstream.pacing import burst
from fake_upstream.script import Chunk, Script
from harness.evidence import count, how_it_ended
from harness.record import Record
from harness.stage import Stage
from harness.verdict import Finding, Judgement, Metric

CLAIM = "While a client reads nothing, the proxy stops taking what the upstream sends."
KIND = "required"
CITES = ("h2o/h2o#2355", "MAXeaglet/commandcode-proxy#20")
SIZE = 62_500
VARIANTS = {
    "200MB": Script((Chunk(size=SIZE), Chunk(size=SIZE, gate=True), *burst(3_198, SIZE)), content_type="audio/mpeg")
}
NEIGHBOUR = Script(burst(4, 900), content_type="audio/mpeg")
ENOUGH = 10
"""Neighbours that pass, one after the other, while nothing more is taken for the stream that stands."""
MOST = 96_000_000
"""Good proxies take 3 to 70 MB, most of it in the kernel's buffers."""


async def play(stage: Stage) -> None:
    client, upstream = await stage.ask(stage.variant)
    client.narrow()
    client.pause()
    await client.has_head(staging=True)
    upstream.narrow()
    upstream.release()
    taken, passed = -1, 0
    while passed < ENOUGH and upstream.taken <= MOST:
        passed = passed + 1 if taken == upstream.taken else 0
        taken = upstream.taken
        neighbour, _ = await stage.ask(NEIGHBOUR)
        if not await neighbour.ends():
            break
    if upstream.taken > MOST:
        await upstream.is_done_with()  # does it take all?
    stage.facts["at_rest"] = passed == ENOUGH


def judge(record: Record) -> Judgement:
    exchange = record.exchanges[0]
    taken = exchange.emitted_bytes()
    if not exchange.attempts:
        actual, kind = how_it_ended(exchange), ""
    elif taken >= exchange.script.total:
        actual, kind = f"the proxy took all {count(taken)}", "drained all"
    elif taken > MOST:
        actual, kind = f"the proxy took {count(taken)}", "stopped late"
    else:
        if record.facts.get("at_rest"):
            yield Metric("accepted_bytes", taken)
        return
    yield Finding(
        f"the proxy stops within {count(MOST)} of the {count(exchange.script.total)} on offer",
        actual,
        "the upstream is read into a queue without a limit, or nobody waits until `send` has room",
        kind,
    )

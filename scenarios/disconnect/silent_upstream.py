"""The client leaves while the upstream says nothing: there is no next write by which a proxy could notice."""

from fake_upstream.pacing import lockstep
from fake_upstream.script import Script
from harness.evidence import count
from harness.record import Record
from harness.stage import FIN, RESET, Stage
from harness.verdict import Finding, Judgement, Metric

CLAIM = "When the client leaves mid-stream, the upstream is let go even while it is silent."
KIND = "required"
CITES = (
    "BerriAI/litellm#30244",
    "caddyserver/caddy#4952",
    "http-party/node-http-proxy#1559",
    "varnishcache/varnish-cache#3556",
    "Kludex/uvicorn#2271",
)
VARIANTS = {"reset": RESET, "fin": FIN}
SCRIPT = Script(lockstep(4, 512), content_type="audio/mpeg")


async def play(stage: Stage) -> None:
    client, upstream = await stage.ask(SCRIPT)
    await client.holds(512)
    client.leave(stage.variant)
    if not await upstream.sees_the_target_leave():
        upstream.release(None)  # does it notice at its next write, or take everything?
        await upstream.saw("peer_fin", "peer_reset", "write_failed", "finished")


def judge(record: Record) -> Judgement:
    (exchange,) = record.exchanges
    left = next((event for event in exchange.client if event.what == "left"), None)
    gone = exchange.let_go
    if not record.missed("saw"):
        if left and gone:
            yield Metric("abort_propagation_latency_ms", (gone.at - left.at) / 1e6)
        return
    if not exchange.attempts:
        actual = "the proxy never asked the upstream"
    elif exchange.seen("finished"):
        actual = f"the proxy stayed, and then took all {count(exchange.script.total)}"
    elif gone:
        actual = f"the proxy stayed until the upstream sent more, then left after {count(exchange.emitted_bytes())}"
    else:
        actual = "the proxy stayed, and did not leave when the upstream sent more either"
    yield Finding(
        "the upstream sees its connection closed",
        actual,
        "nobody waits for `http.disconnect` while the next chunk is awaited",
        "deaf",
    )

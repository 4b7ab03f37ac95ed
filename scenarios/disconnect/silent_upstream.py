"""The client leaves while the upstream says nothing: there is no next write by which a proxy could notice."""

from fake_upstream.pacing import lockstep
from fake_upstream.script import Script
from harness.departure import depart
from harness.evidence import stayed
from harness.record import Record
from harness.stage import FIN, RESET, Stage
from harness.verdict import Judgement

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
FEATURES = {"fin": "fin"}
SCRIPT = Script(lockstep(4, 512), content_type="audio/mpeg")


async def play(stage: Stage) -> None:
    await depart(stage, SCRIPT, lambda client, _: client.holds(512, staging=True), stage.variant)


def judge(record: Record) -> Judgement:
    yield from stayed(record, "nobody waits for `http.disconnect` while the next chunk is awaited")

"""A request that cannot be served must not cost an upstream request first."""

from fake_upstream.pacing import burst
from fake_upstream.script import Script
from harness.evidence import how_it_ended
from harness.record import Record
from harness.stage import Stage
from harness.verdict import Finding, Judgement

CLAIM = "A request that the proxy itself refuses opens nothing upstream."
KIND = "required"
CITES = ("BerriAI/litellm#33976: review",)
SCRIPT = Script(burst(2, 500), content_type="audio/mpeg")
VARIANTS = {"bad-json": lambda body: body[:-1], "no-object": lambda body: b"[" + body + b"]"}


async def play(stage: Stage) -> None:
    client, _ = await stage.ask(SCRIPT, garble=stage.variant)
    await client.ends()


def judge(record: Record) -> Judgement:
    (exchange,) = record.exchanges
    if not exchange.attempts or exchange.status is None or not 400 <= exchange.status < 500:
        return  # nothing was asked; or it was not refused
    if any(name == "x-request-id" for name, _ in exchange.headers):
        return  # the upstream's own answer, handed on: a transparent proxy rightly asks
    yield Finding(
        "no request at the upstream",
        f"{how_it_ended(exchange)}, and the upstream had been asked",
        "the upstream's stream is opened before the request is checked",
        "eager",
    )

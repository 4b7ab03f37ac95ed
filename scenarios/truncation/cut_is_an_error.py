"""The upstream dies while the client already holds the prefix. Stages for the whole family."""

from fake_upstream import faults
from fake_upstream.pacing import burst
from fake_upstream.script import Ending, Script
from harness.evidence import how_it_ended
from harness.record import Record
from harness.stage import Stage
from harness.verdict import Finding, Judgement

CLAIM = "An upstream cut never reaches the client as a clean end."
KIND = "required"
CITES = (
    "BerriAI/litellm#33404",
    "BerriAI/litellm#33222",
    "oven-sh/bun#36477",
    "gpustack/gpustack#5941",
    "caddyserver/caddy#5951",
    "tinfoilsh/confidential-model-router#469",
)
WHOLE = Script(burst(3, 1_000), content_type="audio/mpeg")
VARIANTS = {
    "fin": faults.cut(WHOLE, gate=True),
    "reset": faults.reset_peer(WHOLE, gate=True),
    "malformed": faults.malformed_response_chunk(WHOLE, gate=True),
    "short": faults.cut(WHOLE.but(framing="content-length"), gate=True),
    "after-head": WHOLE.but(chunks=(), ending=Ending(kind="fin", gate=True)),
}


async def play(stage: Stage) -> None:
    client, upstream = await stage.ask(stage.variant)
    if stage.variant.total:
        await client.holds(stage.variant.total, staging=True)
    else:
        await client.has_head(staging=True)
    upstream.release(None)  # whether or not it is staged: the cut happens
    await client.ends()


def judge(record: Record) -> Judgement:
    (exchange,) = record.exchanges
    if exchange.over is None or exchange.over.what != "ended":
        return  # an error, or a hang, which is another claim's
    if exchange.status is not None and exchange.status >= 500:
        return  # surfaced while there was still a status to say it with
    yield Finding(
        "the client sees an error",
        how_it_ended(exchange) + ", as if that were all",
        "an exception of the upstream was swallowed and the response finished in good order",
        "masked",
    )

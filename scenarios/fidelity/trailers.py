"""Fields behind the body, such as a checksum: a proxy may drop them, but then does not announce them."""

from fake_upstream.pacing import burst
from fake_upstream.script import Script
from harness.evidence import how_it_ended
from harness.record import Record
from harness.stage import Stage
from harness.verdict import Finding, Judgement

CLAIM = "Trailers that the upstream sends reach the client."
KIND = "observed"
CITES = ("squid-cache/squid#2079", "RFC 9110, section 6.5: trailer fields")
TRAILER = ("x-checksum", "c0ffee")
VARIANTS = {"chunked": Script(burst(3, 500), content_type="audio/mpeg", trailers=(TRAILER,))}


async def play(stage: Stage) -> None:
    client, _ = await stage.ask(stage.variant, headers={"te": "trailers", "connection": "te"})
    await client.ends()
    stage.facts["trailers"] = client.trailers


def judge(record: Record) -> Judgement:
    (exchange,) = record.exchanges
    trailers = [tuple(pair) for pair in record.facts.get("trailers", [])]
    if TRAILER in trailers:
        return
    announced = dict(exchange.headers).get("trailer")
    said = f"; they had been announced: {announced}" if announced else ""
    yield Finding(
        f"{': '.join(TRAILER)} behind the body",
        f"{trailers or 'no trailers'}{said}; {how_it_ended(exchange)}",
        "most HTTP libraries read trailers and forget them",
        "announced" if announced else "dropped",
    )

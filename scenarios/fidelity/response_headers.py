"""What the upstream says of a request besides its body: the id for its support, its time, what is left of the limit."""

from fake_upstream.pacing import burst
from fake_upstream.script import Script
from harness.evidence import how_it_ended
from harness.record import Record
from harness.stage import Stage
from harness.verdict import Finding, Judgement

CLAIM = "The upstream's request id, processing time and rate limits reach the client."
KIND = "desired"
CITES = ("BerriAI/litellm#7249", "OpenAI API reference, Debugging requests: HTTP headers")
GIVEN = (
    ("x-request-id", "req_streamproof"),
    ("openai-processing-ms", "42"),
    ("x-ratelimit-limit-requests", "500"),
    ("x-ratelimit-remaining-requests", "499"),
    ("x-ratelimit-reset-requests", "120ms"),
)
VARIANTS = {"openai": Script(burst(2, 500), content_type="audio/mpeg", headers=GIVEN)}


async def play(stage: Stage) -> None:
    client, _ = await stage.ask(stage.variant)
    await client.ends()


def judge(record: Record) -> Judgement:
    (exchange,) = record.exchanges
    headers = dict(exchange.headers)
    for name, value in GIVEN:
        if name not in headers:
            yield Finding(f"{name}: {value}", f"no such header; {how_it_ended(exchange)}", "", "dropped")
        elif headers[name] != value:
            hint = "the proxy puts its own in its place"
            yield Finding(f"{name}: {value}", f"{name}: {headers[name]}; {how_it_ended(exchange)}", hint, "changed")

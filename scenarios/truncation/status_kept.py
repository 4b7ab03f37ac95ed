"""The upstream refuses before it has begun: its own words must reach the client."""

import json

from fake_upstream.speech import error_body, json_script
from harness.evidence import how_it_ended
from harness.record import Record
from harness.stage import Stage
from harness.verdict import Finding, Judgement

CLAIM = "An upstream error before the body keeps its status, its error document, and Retry-After."
KIND = "required"
CITES = ("arniesaha/agentweave#105", "BerriAI/litellm#32086")
VARIANTS = {
    str(status): json_script(status, error_body(status, f"scripted {status}")).but(headers=(("Retry-After", "7"),))
    for status in (429, 400, 401, 500, 503)
}
KINDS = {"401": "desired", "500": "desired", "503": "desired"}
"""A gateway may map these: they can be about its own key and its own choice of upstream."""


async def play(stage: Stage) -> None:
    client, _ = await stage.ask(stage.variant)  # the same for every attempt: retries are legal here
    await client.ends()


def judge(record: Record) -> Judgement:
    (exchange,) = record.exchanges
    script = exchange.script
    if exchange.status != script.status:
        yield Finding(f"status {script.status}", how_it_ended(exchange), "", "status")
        return
    try:
        message = json.loads(exchange.received)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        message = None
    wanted = json.loads(script.text)["error"]["message"]
    if not isinstance(message, str) or wanted not in message:
        yield Finding(f"an error document that says {wanted!r}", f"{exchange.received[:80]!r}", "", "document")
    if dict(exchange.headers).get("retry-after") != "7":
        yield Finding("Retry-After: 7", "no such header, or another value", "", "retry-after")

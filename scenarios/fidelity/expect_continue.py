"""A client that asks for leave before it sends its body: it waits for 100, or for a final status.

curl does so for bodies of more than 1 MB; others go on after a second or so, which a listener waits too.
"""

from fake_upstream.pacing import burst
from fake_upstream.script import Script
from harness.evidence import how_it_ended
from harness.record import Record
from harness.stage import Stage
from harness.verdict import Finding, Judgement

CLAIM = "A request that says `Expect: 100-continue` gets its leave, and then its answer."
KIND = "desired"
CITES = ("haproxy/haproxy#825", "RFC 9110, section 10.1.1: Expect")
VARIANTS = {"continue": Script(burst(2, 500), content_type="audio/mpeg")}


async def play(stage: Stage) -> None:
    client, _ = await stage.ask(stage.variant, headers={"expect": "100-continue"})
    await client.has_leave()
    client.send_body()
    await client.ends()


def judge(record: Record) -> Judgement:
    (exchange,) = record.exchanges
    if (wait := record.missed("head")) and wait.outcome != "ended":
        yield Finding(
            "100 Continue, or a final status, before the client sends its body",
            f"neither; the client sent its body all the same, and {how_it_ended(exchange)}",
            "the server reads on without giving leave, or the upstream's 100 is not handed on",
            "deaf",
        )
    if exchange.status != exchange.script.status:
        kind = {417: "refused", None: "no answer"}.get(exchange.status, "status")
        yield Finding(f"status {exchange.script.status}, as without the field", how_it_ended(exchange), "", kind)

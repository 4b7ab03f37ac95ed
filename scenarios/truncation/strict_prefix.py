"""The upstream dies; what the client got until then must be the upstream's bytes and nothing else."""

from harness.evidence import difference
from harness.record import Record
from harness.verdict import Finding, Judgement

CLAIM = "What the client got before a cut is a prefix of what was sent: nothing is injected."
KIND = "required"
CITES = ("chimurai/http-proxy-middleware: appends an error text to the audio", "BerriAI/litellm#33404")
SHARES = "truncation/cut_is_an_error"


def judge(record: Record) -> Judgement:
    (exchange,) = record.exchanges
    if exchange.status != exchange.script.status:
        return  # an answer of the proxy's own: its body is an error document, not audio
    if found := difference(exchange.received, exchange.offered):
        yield Finding(
            f"the first bytes of the {exchange.script.total:,} sent",
            found,
            "an error was reported by writing it into a body that had already begun",
            "polluted",
        )

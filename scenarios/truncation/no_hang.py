"""The upstream dies; the client must not be left waiting."""

from harness.evidence import how_it_ended
from harness.record import Record
from harness.verdict import Finding, Judgement

CLAIM = "An upstream cut never reaches the client as silence: its response ends."
KIND = "required"
CITES = ("vitejs/vite#20712", "cloudflare/workers-py#168")
SHARES = "truncation/cut_is_an_error"


def judge(record: Record) -> Judgement:
    if record.missed("over"):
        yield Finding(
            "the client's response is over",
            how_it_ended(record.exchanges[0]),
            "the upstream's end was noticed by nobody who holds the client's connection",
            "hang",
        )

"""Once the client holds audio, a second request can only repeat or splice it, and is billed. Judges the cuts."""

from harness.evidence import how_it_ended
from harness.record import Record
from harness.verdict import Finding, Judgement

CLAIM = "When the upstream dies after the first byte of the body, the proxy does not ask it again."
KIND = "required"
CITES = ("BerriAI/litellm#38153", "ag2ai/ag2#3215")
SHARES = "truncation/cut_is_an_error"


def judge(record: Record) -> Judgement:
    (exchange,) = record.exchanges
    cut = next(iter(exchange.seen("finished")), None)  # the script was played, to the cut at its end
    if cut is None or not exchange.emitted_bytes(cut.at):
        return
    again = [event for event in exchange.seen("asked") if event.at > cut.at]
    if again:
        yield Finding(
            "no further request at the upstream after the first byte",
            f"{len(again)} more; {how_it_ended(exchange)}",
            "a retry that is right before the first byte was kept on for the rest of the stream",
            "retried",
        )

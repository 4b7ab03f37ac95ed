"""Parts of a body, and its head alone: what becomes of them between a player and a cache of audio."""

from dataclasses import dataclass

from fake_upstream.pacing import burst
from fake_upstream.script import Script
from harness.evidence import count, difference, how_it_ended
from harness.record import Exchange, Record
from harness.stage import Stage
from harness.verdict import Finding, Judgement

CLAIM = "A byte range and a HEAD request get what the upstream answers to them."
KIND = "observed"
CITES = ("RFC 9110, section 9.3.2: HEAD", "RFC 9110, section 14.2: Range")
SCRIPT = Script(burst(4, 500), content_type="audio/mpeg", framing="content-length", ranges=True)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, and the part of the body that answers it."""

    status: int
    first: int = 0
    end: int = 0
    method: str = "POST"
    range: str = ""


VARIANTS = {
    "range": Asked(206, 100, 1_200, range="bytes=100-1199"),
    "unsatisfiable": Asked(416, range="bytes=5000-"),
    "head": Asked(200, method="HEAD"),
}


async def play(stage: Stage) -> None:
    asked: Asked = stage.variant
    client, _ = await stage.ask(SCRIPT, method=asked.method, headers={"range": asked.range} if asked.range else {})
    await client.ends()


def judge(record: Record) -> Judgement:
    (exchange,) = record.exchanges
    asked = VARIANTS[record.variant]
    headers = dict(exchange.headers)
    if exchange.status != asked.status:
        ignored = exchange.status == 200 and exchange.received == exchange.offered
        kind = "ignored" if ignored else "status"
        yield Finding(f"status {asked.status}", f"{how_it_ended(exchange)}{_asked_of_upstream(exchange)}", "", kind)
        return
    if parted := difference(exchange.received, exchange.offered[asked.first : asked.end]):
        yield Finding(f"{count(asked.end - asked.first)} from {asked.first:,} on", parted, "", "changed")
    length = str(exchange.script.total if asked.method == "HEAD" else asked.end - asked.first)
    if headers.get("content-length", length) != length:
        yield Finding(f"content-length: {length}", f"content-length: {headers['content-length']}", "", "length")
    if asked.range and "content-range" not in headers:
        yield Finding("a Content-Range", "no such header", "", "unlabelled")


def _asked_of_upstream(exchange: Exchange) -> str:
    """In which form the request reached the upstream."""
    asked = next(iter(exchange.seen("asked")), None)
    if asked is None:
        return ""
    ranges = [value for name, value in asked.headers if name.lower() == "range"]
    return f"; the upstream was asked {asked.note.partition(' ')[0]}{', range ' + ranges[0] if ranges else ''}"

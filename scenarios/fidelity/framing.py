"""Where a body ends must be said in one way: a client and the next proxy that read it differently lose each other."""

from fake_upstream.pacing import burst
from fake_upstream.script import Script
from harness.evidence import how_it_ended
from harness.record import Record
from harness.stage import Stage
from harness.verdict import Finding, Judgement

CLAIM = "A response is framed in one way: chunked, by its length, or by the end of its connection."
KIND = "required"
CITES = ("BerriAI/litellm#25624", "envoyproxy/ai-gateway#2391", "RFC 9112, section 6.2 and 6.3")
PLAIN = Script(burst(3, 700), content_type="audio/mpeg")
VARIANTS = {
    "content-length": PLAIN.but(framing="content-length"),
    "chunked": PLAIN,
    "close-delimited": PLAIN.but(framing="close-delimited"),
    "http10": PLAIN.but(framing="http10"),
}


async def play(stage: Stage) -> None:
    client, _ = await stage.ask(stage.variant)
    await client.ends()


def judge(record: Record) -> Judgement:
    (exchange,) = record.exchanges
    headers = dict(exchange.headers)
    length, coding = headers.get("content-length"), headers.get("transfer-encoding")
    if length is not None and coding is not None:
        yield Finding(
            "Content-Length or Transfer-Encoding, not both",
            f"content-length: {length}, transfer-encoding: {coding}; {how_it_ended(exchange)}",
            "the upstream's Content-Length is copied onto a response that the server sends in chunks",
            "both",
        )
    elif exchange.received != exchange.offered or exchange.status is None:
        return  # what does not arrive is another claim's
    elif record.missed("over"):
        said = f"content-length: {length}" if length else f"transfer-encoding: {coding}" if coding else "neither"
        hint = "without a length and without chunks only the end of the connection ends a body"
        actual = f"{said}; {how_it_ended(exchange)}"
        yield Finding("a response that is over when its body is", actual, hint, "unframed")
    elif exchange.over and exchange.over.what == "broke":
        hint = "a Content-Length that is not that of the bytes, or an end that no last chunk marks"
        yield Finding("a response that ends where its head says", how_it_ended(exchange), hint, "misframed")

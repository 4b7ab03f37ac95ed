"""A body that the upstream has packed: either as it is and called so, or unpacked and not called so any more.

Each chunk holds one whole frame, as servers flush them that stream.
"""

from fake_upstream.audio import content_of
from fake_upstream.pacing import burst
from fake_upstream.packed import FRAME
from fake_upstream.script import Script
from harness.codings import Undecodable, Unsupported, unpack
from harness.evidence import count, difference, how_it_ended
from harness.record import Exchange, Record
from harness.stage import Stage
from harness.verdict import Finding, Judgement

CLAIM = "The content encoding that a response names is the one that its bytes are in."
KIND = "required"
CITES = ("BerriAI/litellm#35589", "RFC 9110, section 8.4: Content-Encoding")
PLAIN = Script(burst(6, FRAME), content_type="audio/mpeg", payload="gzip", headers=(("content-encoding", "gzip"),))
VARIANTS = {
    "gzip": PLAIN,
    "gzip-length": PLAIN.but(framing="content-length", seed=1),
    "zstd": PLAIN.but(payload="zstd", headers=(("content-encoding", "zstd"),), seed=2),
}


async def play(stage: Stage) -> None:
    client, _ = await stage.ask(stage.variant, headers={"accept-encoding": stage.variant.payload})
    await client.ends()


def judge(record: Record) -> Judgement:
    (exchange,) = record.exchanges
    if exchange.status != exchange.script.status:
        yield Finding(f"status {exchange.script.status}", how_it_ended(exchange), "", "status")
        return
    if not _was_asked_for(exchange):
        return  # an upstream that packs unasked is no fair test
    coding = dict(exchange.headers).get("content-encoding", "identity")
    content = content_of(exchange.script)
    try:
        came = unpack(coding, exchange.received)
    except Unsupported:
        return  # packed anew, in a way that we cannot read
    except Undecodable as error:
        hint = "the body was unpacked, and its label copied"
        yield Finding(f"bytes in {coding}, as the label says", f"{error}; {how_it_ended(exchange)}", hint, "unpacked")
        return
    if came == content:
        return
    if came == exchange.offered:
        hint = "the label was dropped, or belongs to a hop, and the body was handed on as it came"
        yield Finding(
            f"content-encoding: {exchange.script.payload}", f"content-encoding: {coding}, and the bytes are packed",
            hint, "mislabelled",
        )  # fmt: skip
    else:
        parted = difference(came, content)
        actual = f"{count(len(came))}{'; ' + parted if parted else ''}; {how_it_ended(exchange)}"
        hint = "" if parted else "gzip may come in several members, and some libraries stop after the first"
        yield Finding(f"{count(len(content))} of content", actual, hint, "changed")


def _was_asked_for(exchange: Exchange) -> bool:
    """Whether the request that reached the upstream takes the script's coding."""
    asked = next(iter(exchange.seen("asked")), None)
    taken = [value for name, value in asked.headers if name.lower() == "accept-encoding"] if asked else []
    return any(exchange.script.payload in value for value in taken)

"""The client says that it can read gzip. A proxy may pack, if it hands out what it has packed at each chunk.

Seeded noise, which no packing makes smaller; aligned by what the client can unpack of what came.
"""

from fake_upstream.pacing import lockstep
from fake_upstream.script import Script
from harness.codings import Undecodable, Unsupported, unpack
from harness.evidence import count, difference, held_back, how_it_ended
from harness.record import Exchange, Record, Wait
from harness.stage import Stage
from harness.verdict import Finding, Judgement

CLAIM = "Asking for gzip does not cost progressiveness."
KIND = "required"
CITES = ("Kludex/starlette#2753", "vercel/next.js#66263", "traefik/traefik#11509")
VARIANTS = {
    "mpeg-4096": Script(lockstep(5, 4_096), content_type="audio/mpeg", seed=1),
    "wav-700": Script(lockstep(5, 700), content_type="audio/wav", payload="wav", seed=2),
    "events-4096": Script(lockstep(5, 4_096), content_type="text/event-stream", seed=3),
    "length-4096": Script(lockstep(5, 4_096), content_type="audio/mpeg", framing="content-length", seed=4),
}


async def play(stage: Stage) -> None:
    client, upstream = await stage.ask(stage.variant, headers={"accept-encoding": "gzip"})
    for end in stage.variant.ends:
        if not await client.unpacks(end):
            upstream.release(None)
            break
        upstream.release()
    await client.ends()


def judge(record: Record) -> Judgement:
    (exchange,) = record.exchanges
    coding = dict(exchange.headers).get("content-encoding", "identity")
    if wait := record.missed("holds"):
        chunk = sum(w.goal == "holds" and w.happened for w in record.waits)
        yield Finding(
            f"{count(exchange.script.ends[chunk])}, unpacked, at the client after chunk {chunk}",
            _held(exchange, wait, coding),
            "it packs nothing, and holds bytes back all the same: see delivery/lockstep"
            if coding == "identity"
            else "a compressor without a flush after each chunk keeps what it has packed",
            "blocked",
        )
    elif coding != "identity" and (parted := _difference(exchange, coding)):
        yield Finding(f"{count(exchange.script.total)}, as sent", f"{parted}; {how_it_ended(exchange)}", "", "changed")


def _held(exchange: Exchange, wait: Wait, coding: str) -> str:
    """Who held what when patience was spent; of what was packed, how much of it a client can read."""
    came = exchange.received[: exchange.received_bytes(wait.ended)]
    if coding == "identity" or not came or (exchange.over and exchange.over.at <= wait.ended):
        return f"{held_back(exchange, wait)}; content-encoding: {coding}"
    try:
        read = f"{count(len(unpack(coding, came)))} unpacked, of {count(len(came))} of {coding}"
    except (Undecodable, Unsupported) as error:
        read = f"{count(len(came))} of {coding}, and {error}"
    return f"{read}; the upstream has sent {count(exchange.emitted_bytes(wait.ended))}"


def _difference(exchange: Exchange, coding: str) -> str:
    try:
        return difference(unpack(coding, exchange.received), exchange.offered)
    except (Undecodable, Unsupported) as error:
        return str(error)

"""The client says that it can read gzip. A proxy may pack, if it hands out what it has packed at each chunk.

Seeded noise, which no packing makes smaller; aligned by what the client can unpack of what came, and where those are
events, by the audio in them: a proxy may write them anew.
"""

from fake_upstream.audio import seeded
from fake_upstream.pacing import lockstep
from fake_upstream.script import Script
from fake_upstream.spoken import sse_script
from fake_upstream.sse import CONTENT_TYPE, audio_of
from harness.codings import Undecodable, Unsupported, unpack
from harness.evidence import count, difference, held_back, how_it_ended
from harness.record import Exchange, Record, Wait
from harness.stage import Stage
from harness.verdict import Finding, Judgement

CLAIM = "Asking for gzip does not cost progressiveness."
KIND = "required"
CITES = ("Kludex/starlette#2753", "vercel/next.js#66263", "traefik/traefik#11509")
CHUNKS = 5
AUDIO = seeded(3, 0, CHUNKS * 3_072)
"""Of the event stream; 3,072 bytes are 4,096 characters of base64."""
VARIANTS = {
    "mpeg-4096": Script(lockstep(CHUNKS, 4_096), content_type="audio/mpeg", seed=1),
    "wav-700": Script(lockstep(CHUNKS, 700), content_type="audio/wav", payload="wav", seed=2),
    "events-4096": sse_script(AUDIO, events=CHUNKS, gated=True),
    "length-4096": Script(lockstep(CHUNKS, 4_096), content_type="audio/mpeg", framing="content-length", seed=4),
}


async def play(stage: Stage) -> None:
    events = is_events(stage.variant)
    fields = {"stream_format": "sse"} if events else {}
    client, upstream = await stage.ask(stage.variant, fields=fields, headers={"accept-encoding": "gzip"})
    for chunk in range(CHUNKS):
        size = sizes(stage.variant)[chunk]
        if not await (client.hears(size) if events else client.unpacks(size)):
            upstream.release(None)
            break
        upstream.release()
    await client.ends()


def is_events(script: Script) -> bool:
    return script.content_type == CONTENT_TYPE


def sizes(script: Script) -> list[int]:
    """What the client has after each chunk, unpacked: bytes, or bytes of audio."""
    if is_events(script):
        return [len(AUDIO) // CHUNKS * (chunk + 1) for chunk in range(CHUNKS)]
    return list(script.ends)


def judge(record: Record) -> Judgement:
    (exchange,) = record.exchanges
    coding = dict(exchange.headers).get("content-encoding", "identity")
    if wait := record.missed("holds"):
        chunk = sum(w.goal == "holds" and w.happened for w in record.waits)
        what = " of audio" if is_events(exchange.script) else ""
        yield Finding(
            f"{count(sizes(exchange.script)[chunk])}{what}, unpacked, at the client after chunk {chunk}",
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
        unpacked = unpack(coding, exchange.received)
        if is_events(exchange.script):
            return difference(audio_of(unpacked), AUDIO)
        return difference(unpacked, exchange.offered)
    except (Undecodable, Unsupported) as error:
        return str(error)

"""The upstream waits for the client: a proxy that collects can never get the next chunk, however fast it is."""

from fake_upstream.pacing import lockstep
from fake_upstream.script import Framing, Payload, Script
from harness.evidence import count, held_back
from harness.record import Record
from harness.stage import Stage
from harness.verdict import Finding, Judgement

CLAIM = "The client holds each chunk before the upstream sends the next."
KIND = "required"
CITES = (
    "BerriAI/litellm#14891",
    "BerriAI/litellm#33974",
    "BerriAI/litellm#32386",
    "gpustack/gpustack#4719",
    "Kong/kong#14425",
    "traefik/traefik#12869",
    "mitmproxy/mitmproxy#4469",
    "cloudflare/cloudflared#199",
    "CopilotKit/aimock#125",
)
FRAMINGS: tuple[Framing, ...] = ("chunked", "content-length", "close-delimited", "http10")
SIZES = (512, 100, 4_096, 9_000, 65_536)
TYPES: tuple[tuple[str, Payload], ...] = (
    ("audio/mpeg", "seeded"),
    ("audio/wav", "wav"),
    ("audio/pcm", "pcm"),
    ("application/octet-stream", "seeded"),
)
# A Latin square: every framing meets every size, and each of both meets every type.
VARIANTS = {
    f"{framing}-{size}": Script(lockstep(6, size), framing=framing, content_type=kind, payload=payload, seed=size)
    for i, framing in enumerate(FRAMINGS)
    for j, size in enumerate(SIZES)
    for kind, payload in (TYPES[(i + j) % len(TYPES)],)
}


async def play(stage: Stage) -> None:
    client, upstream = await stage.ask(stage.variant)
    for end in stage.variant.ends:
        if not await client.holds(end):
            upstream.release(None)  # what comes now was held back
            break
        upstream.release()
    await client.ends()


def judge(record: Record) -> Judgement:
    if wait := record.missed("holds"):
        exchange = record.exchanges[0]
        ends = exchange.script.ends
        chunk = sum(w.goal == "holds" and w.happened for w in record.waits)
        yield Finding(
            f"{count(ends[chunk])} at the client after chunk {chunk}",
            held_back(exchange, wait),
            "proxies that re-read a finished body, compress, or fill an 8 KB buffer look like this",
            "blocked",
        )

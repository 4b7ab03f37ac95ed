"""What the proxy adds, against the direct way in the same run. Measured, never judged."""

from itertools import pairwise

from fake_upstream.pacing import at_speech_rate
from fake_upstream.script import Script
from harness.deliveries import Delivery, deliveries
from harness.record import Exchange, Record
from harness.stage import Stage
from harness.verdict import Judgement, Metric

CLAIM = "Audio at speech rate passes at speech rate."
KIND = "observed"
CITES = ("vllm-project/vllm-omni#3618",)
SIZE = 960
"""20 ms of PCM."""
VARIANTS = {"pcm-20ms": Script(at_speech_rate(25, SIZE), content_type="audio/pcm", payload="pcm")}


async def play(stage: Stage) -> None:
    for direct in (True, False):
        client, _ = await stage.ask(stage.variant, direct=direct)
        await client.ends()


def judge(record: Record) -> Judgement:
    for name, exchange in zip(("direct", "proxied"), record.exchanges, strict=False):
        rows = deliveries(exchange)
        delays = sorted(row.forwarding_delay for row in rows if row.forwarding_delay is not None)
        if not delays:
            continue
        yield Metric(f"{name}_forwarding_delay_p50_ms", delays[len(delays) // 2] / 1e6)
        yield Metric(f"{name}_forwarding_delay_p99_ms", delays[len(delays) * 99 // 100] / 1e6)
        gaps = _gaps(exchange)
        if gaps:
            yield Metric(f"{name}_inter_chunk_latency_max_ms", max(gaps) / 1e6)
        yield Metric(f"{name}_audio_underrun_ms", _underrun(rows) / 1e6)


def _gaps(exchange: Exchange) -> list[int]:
    """ns between arrivals; zeros, which mean that chunks came together, are kept."""
    times = [event.at for event in exchange.client if event.what == "received"]
    return [later - earlier for earlier, later in pairwise(times)]


def _underrun(rows: tuple[Delivery, ...]) -> float:
    """ns for which a player that starts with the first chunk has nothing to play."""
    arrived = [row.received for row in rows if row.received is not None]
    silence, played_until = 0.0, float(arrived[0]) if arrived else 0.0
    for row, at in zip(rows, arrived, strict=False):
        silence += max(0.0, at - played_until)
        played_until = max(played_until, at) + row.size / 48_000 * 1e9
    return silence

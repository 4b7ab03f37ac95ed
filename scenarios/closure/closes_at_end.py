"""One response that was never closed looks like a pooled connection; twenty in a row do not. A count."""

from fake_upstream.pacing import burst
from fake_upstream.script import Script
from fake_upstream.speech import error_body, json_script
from harness.evidence import count
from harness.record import Record
from harness.stage import Stage
from harness.verdict import Finding, Judgement

CLAIM = "At rest no upstream response is left open."
KIND = "required"
CITES = ("Kludex/starlette#1152",)
ALONE = True
TIMES = 20
"""At least; where a larger pool is declared, more."""
MOST = 10
"""Connections that a pool may keep after responses one after another; one would do."""
VARIANTS = {
    "small": Script(burst(2, 500), content_type="audio/mpeg"),
    "large": Script(burst(64, 65_536), content_type="audio/mpeg"),
    "error": json_script(429, error_body(429, "Slow down.")),
}


async def play(stage: Stage) -> None:
    counts = []
    for _ in range(max(TIMES, (stage.declared.pool or 0) + MOST)):  # a leak must outgrow the pool
        client, _ = await stage.ask(stage.variant)
        if not await client.ends():
            break
        counts.append(stage.open_connections)
    else:
        counts[-1] = await stage.rests_with(MOST if stage.declared.pool is None else stage.declared.pool)
    stage.facts["open_connections"] = counts
    if stage.declared.pool is not None:
        stage.facts["declared_pool"] = stage.declared.pool


def judge(record: Record) -> Judgement:
    counts = record.facts.get("open_connections", [])
    most = record.facts.get("declared_pool", MOST)
    if counts and counts[-1] > most:
        yield Finding(
            f"at most {most} connections open after {len(counts)} responses, one after another",
            f"{count(counts[-1], 'connection')} open: {', '.join(map(str, counts))}",
            "the upstream's response is never closed, or closed only when it is collected",
            "leak",
        )

"""Lockstep for event streams: each event is let go once the client has heard the one before."""

from __future__ import annotations

from harness.stage import Stage


async def event_by_event(stage: Stage, audio: bytes, events: int) -> None:
    """Stage the variant, a gated event stream that says `audio` in so many events of the same size, to its end."""
    client, upstream = await stage.ask(stage.variant, fields={"stream_format": "sse"})
    for number in range(1, events + 1):
        if not await client.hears(len(audio) * number // events):
            upstream.release(None)
            break
        upstream.release()
    await client.ends()

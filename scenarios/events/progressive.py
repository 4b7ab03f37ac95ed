"""Lockstep for events: aligned by the audio in them, so that a proxy may write them anew."""

from fake_upstream.pcm import tones
from fake_upstream.spoken import sse_script
from harness.event_by_event import event_by_event
from harness.evidence import count, held_back
from harness.record import Record
from harness.stage import Stage
from harness.verdict import Finding, Judgement

CLAIM = "The client has each event before the upstream sends the next."
KIND = "required"
CITES = ("BerriAI/litellm#33974", "vllm-project/vllm-omni#3618")
AUDIO = tones(2, 4_800)
EVENTS = 6
SIZE = len(AUDIO) // EVENTS
VARIANTS = {"6-events": sse_script(AUDIO, events=EVENTS, gated=True)}


async def play(stage: Stage) -> None:
    await event_by_event(stage, AUDIO, EVENTS)


def judge(record: Record) -> Judgement:
    if wait := record.missed("holds"):
        event = sum(w.goal == "holds" and w.happened for w in record.waits)
        yield Finding(
            f"{count(SIZE * (event + 1))} of audio at the client after event {event}",
            f"bytes of the stream at the client: {held_back(record.exchanges[0], wait)}",
            "event streams need the same care as bytes: no buffer, no compression, no reading to the end",
            "blocked",
        )

"""Comments keep a quiet connection alive; one that lands inside an event breaks it."""

from fake_upstream.pcm import tones
from fake_upstream.spoken import sse_script
from fake_upstream.sse_forms import with_comments
from harness.event_by_event import event_by_event
from harness.evidence import event_lost
from harness.record import Record
from harness.stage import Stage
from harness.verdict import Judgement, Metric

CLAIM = "A keep-alive comment never lands inside an event."
KIND = "observed"
CITES = ("WHATWG HTML, section 9.2.7: authoring notes, comments against proxies that drop idle connections",)
AUDIO = tones(9, 2_400)
EVENTS = 3
COMMENT = "keep-alive"
VARIANTS = {"between-events": with_comments(sse_script(AUDIO, events=EVENTS, gated=True), COMMENT)}


async def play(stage: Stage) -> None:
    await event_by_event(stage, AUDIO, EVENTS)


def judge(record: Record) -> Judgement:
    yield from event_lost(record, AUDIO, "the proxy's own keep-alive, or a comment that is taken for data")
    yield Metric("comments_kept_count", record.exchanges[0].received.count(f": {COMMENT}".encode()))

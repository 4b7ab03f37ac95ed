"""Lines may end with CR LF or with CR alone; who looks for two LFs finds no event."""

from fake_upstream.pcm import tones
from fake_upstream.spoken import sse_script
from fake_upstream.sse_forms import with_line_ends
from harness.event_by_event import event_by_event
from harness.evidence import event_lost
from harness.record import Record
from harness.stage import Stage
from harness.verdict import Judgement

CLAIM = "Events reach the client one by one also where the upstream's lines end with CR LF."
KIND = "required"
CITES = ("envoyproxy/ai-gateway#1398", "WHATWG HTML, section 9.2.5: end-of-line")
AUDIO = tones(4, 2_400)
EVENTS = 3
PLAIN = sse_script(AUDIO, events=EVENTS, gated=True)
VARIANTS = {"crlf": with_line_ends(PLAIN, "\r\n"), "cr": with_line_ends(PLAIN, "\r")}
KINDS = {"cr": "desired"}
"""As good by the standard, and nobody's server writes it."""


async def play(stage: Stage) -> None:
    await event_by_event(stage, AUDIO, EVENTS)


def judge(record: Record) -> Judgement:
    yield from event_lost(record, AUDIO, "the stream is split at two LFs instead of at blank lines")

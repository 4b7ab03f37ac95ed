"""Events in writes of one byte each: nothing may hang on where a read happens to end, not even inside a character.

The gate stands inside a character, or inside a line's end, so a proxy that hands on what it has got has just one half
of it in hand. One that collects whole events has it too by the time that its patience is spent.
"""

import json

from fake_upstream.pcm import tones
from fake_upstream.spoken import sse_script
from fake_upstream.sse import EventDecoder
from fake_upstream.sse_forms import gated_within, with_line_ends, with_member
from harness.evidence import event_lost
from harness.record import Record
from harness.stage import Stage
from harness.verdict import Finding, Judgement

CLAIM = "An event stream survives writes of one byte, also inside a UTF-8 sequence."
KIND = "required"
CITES = ("api7/aisix#111", "WHATWG HTML, section 9.2.5: streams are decoded as UTF-8")
AUDIO = tones(5, 400)
NAME = "note"
NOTE = "声, Ångström, 🙂"
PLAIN = with_member(sse_script(AUDIO, events=2), NAME, NOTE)
VARIANTS = {
    "utf-8": gated_within(PLAIN, "声"),
    "crlf": gated_within(with_line_ends(PLAIN, "\r\n"), "\r\n"),
}


async def play(stage: Stage) -> None:
    client, upstream = await stage.ask(stage.variant, fields={"stream_format": "sse"})
    before = next(index for index, chunk in enumerate(stage.variant.chunks) if chunk.gate)
    await client.holds(before, staging=True)
    upstream.release()
    await client.hears(len(AUDIO))
    await client.ends()


def judge(record: Record) -> Judgement:
    hint = "each read is decoded as text by itself; a character, or a line's end, may continue in the next"
    yield from event_lost(record, AUDIO, hint)
    for note in _notes(record.exchanges[0].received):
        if note != NOTE:
            yield Finding(f"{NAME} = {NOTE!r} in each event", f"{note!r}", hint, "garbled")
            return


def _notes(stream: bytes) -> list[object]:
    """What the events that came say under the name; one that was left out is nobody's garbling."""
    notes = []
    for event in EventDecoder().feed(stream):
        try:
            value = json.loads(event.data)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict) and NAME in value:
            notes.append(value[NAME])
    return notes

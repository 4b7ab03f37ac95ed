"""One event larger than the buffers in which lines are read: 64 KB is a common one."""

from functools import lru_cache

from fake_upstream.audio import seeded
from fake_upstream.script import Script
from fake_upstream.spoken import sse_script
from harness.evidence import event_lost
from harness.record import Record
from harness.stage import Stage
from harness.verdict import Judgement

CLAIM = "An event arrives whole, however long its line is."
KIND = "required"
CITES = ("songquanpeng/one-api#2128",)
VARIANTS = {"70KB": 52_000, "1.5MB": 1_125_000}
"""Bytes of audio in the event; base64 makes four of three."""


@lru_cache
def _script(size: int) -> Script:
    return sse_script(seeded(6, 0, size), events=1)


async def play(stage: Stage) -> None:
    client, _ = await stage.ask(_script(stage.variant), fields={"stream_format": "sse"})
    await client.ends()


def judge(record: Record) -> Judgement:
    hint = "lines are read with a limit, often of 64 KB, behind which they are cut, dropped or an error"
    yield from event_lost(record, seeded(6, 0, VARIANTS[record.variant]), hint)

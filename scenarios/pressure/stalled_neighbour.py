"""One client reads nothing, and its stream stands still. Do the others pass? Judges the slow reader's staging."""

from harness.evidence import held_back, how_it_ended
from harness.record import Record
from harness.verdict import Finding, Judgement

CLAIM = "A stream that stands still blocks no other."
KIND = "required"
CITES = ("golang/go#16510", "open-webui/open-webui#27349")
SHARES = "pressure/slow_reader"


def judge(record: Record) -> Judgement:
    wait = record.missed("over")
    if wait is None:
        return
    stuck = record.exchanges[wait.exchange]
    yield Finding(
        "an answer for everybody else while one client reads nothing",
        held_back(stuck, wait) if stuck.over is None else how_it_ended(stuck),
        "something that all streams need is held while a chunk is sent: a lock, a worker, the event loop",
        "blocked",
    )

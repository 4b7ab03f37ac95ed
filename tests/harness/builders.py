"""Records written by hand. Times are milliseconds; bodies are the script's own bytes unless they are said.

up(3, "emitted", chunk=0, size=512)   an event at the upstream
at_client(4, "received", size=512)    an event at the client
conversation(script)                  a whole exchange in which nothing goes wrong
"""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings

from fake_upstream.audio import prefix
from fake_upstream.events import CLIENT_EVENTS, Event
from fake_upstream.pacing import lockstep
from fake_upstream.script import Script
from harness.loops import Loop, Pairing
from harness.record import Exchange, Goal, Outcome, Record, Wait
from harness.scenario import load_scenarios
from harness.verdict import Result, judged

MS = 1_000_000
KEY = "Good morning. (1f-0)"
PAIRING = Pairing("asyncio", "trio", "asyncio")
LOCKSTEP = Script(lockstep(3, 512), content_type="audio/mpeg")

properties = settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
"""For tests of properties: no time limit, since a busy machine refutes nothing."""


def up(at: float, what: str, request: int = 1, **details: Any) -> Event:
    """An event at the upstream; `until` and `planned` in milliseconds too."""
    for name in ("until", "planned"):
        if name in details:
            details[name] = round(details[name] * MS)
    return Event(round(at * MS), what, connection=request, request=request, key=KEY, **details)


def at_client(at: float, what: str, **details: Any) -> Event:
    return Event(round(at * MS), what, key=KEY, **details)


def wait(
    goal: Goal,
    outcome: Outcome = "happened",
    ended: float = 0,
    what: str = "something happens",
    exchange: int = 0,
    staging: bool = False,
) -> Wait:
    return Wait(goal, what, exchange, outcome, 0, round(ended * MS), 25 if outcome == "never" else 0, staging)


def exchange(
    script: Script,
    *events: Event,
    received: bytes | None = None,
    status: int | None = 200,
    headers: tuple[tuple[str, str], ...] = (),
) -> Exchange:
    """Both ends' events, sorted out by what they say; the client's bytes are the script's unless given."""
    client = tuple(event for event in events if event.what in CLIENT_EVENTS)
    upstream = tuple(event for event in events if event.what not in CLIENT_EVENTS)
    if received is None:
        received = prefix(script, sum(event.size or 0 for event in client if event.what == "received"))
    return Exchange(KEY, script, upstream, client, received, status, headers)


def emissions(script: Script, every: float = 10, chunks: int | None = None, request: int = 1) -> list[Event]:
    """The upstream's first events: asked, the head, and its chunks, one each `every` ms from ms 2."""
    return [
        up(0, "asked", request),
        up(1, "head_sent", request),
        *(
            up(2 + every * i, "emitted", request, chunk=i, size=chunk.size, planned=2 + every * i)
            for i, chunk in enumerate(script.chunks[:chunks])
        ),
    ]


def receptions(script: Script, every: float = 10, chunks: int | None = None) -> list[Event]:
    """The client's first events: the head at ms 1.5, and each chunk 0.5 ms after it was sent."""
    return [
        at_client(1.5, "head_received", note=str(script.status)),
        *(at_client(2.5 + every * i, "received", size=chunk.size) for i, chunk in enumerate(script.chunks[:chunks])),
    ]


def conversation(script: Script = LOCKSTEP, *more: Event, every: float = 10, **fields: Any) -> Exchange:
    """Everything is sent and arrives; `more` is how it ends, if not with finished and ended."""
    last = 3 + every * len(script.chunks)
    ending = more or (up(last, "finished"), at_client(last + 0.5, "ended"))
    return exchange(script, *emissions(script, every), *receptions(script, every), *ending, **fields)


def record(
    *exchanges: Exchange,
    waits: tuple[Wait, ...] = (),
    scenario: str = "delivery/lockstep",
    variant: str = "chunked-512",
    target: str = "app:gateway:build",
    loops: Pairing = PAIRING,
    **fields: Any,
) -> Record:
    return Record(target, scenario, variant, loops, exchanges, waits, **fields)


def blocked_lockstep(target: str = "app:gateway:build") -> Record:
    """A proxy that buffers: head and first chunk are sent, the client has neither until patience is spent."""
    withheld = exchange(
        LOCKSTEP,
        up(0, "asked"),
        up(1, "head_sent"),
        up(2, "emitted", chunk=0, size=512, until=2.1, planned=2),
        up(3302, "released", request=0, size=2),
        up(3303, "emitted", chunk=1, size=512),
        up(3304, "emitted", chunk=2, size=512),
        up(3305, "finished"),
        at_client(3306, "head_received", note="200"),
        at_client(3307, "received", size=1536),
        at_client(3308, "ended"),
    )
    waits = (wait("holds", "never", ended=3301, what="the client holds 512 bytes"), wait("over", ended=3308))
    return record(withheld, waits=waits, target=target)


def result(verdict: str = "pass", **fields: Any) -> Result:
    """A result of delivery/lockstep[chunked-512] as `judged` would make it, unless fields say otherwise."""
    given: dict[str, Any] = {
        "target": "app:gateway:build",
        "scenario": "delivery/lockstep",
        "variant": "chunked-512",
        "kind": "required",
        "loops": PAIRING,
        "verdict": verdict,
        "claim": "The client holds each chunk before the upstream sends the next.",
    }
    return Result(**{**given, **fields})


def pairing(upstream: Loop, target: Loop | None, client: Loop) -> Pairing:
    return Pairing(upstream, target, client)


def judge(scenario: str, *exchanges: Exchange, waits: tuple[Wait, ...] = (), **fields: Any) -> Result:
    """What the scenario's own judge makes of such a staging of its first variant (or of `variant`)."""
    claim = load_scenarios()[scenario]
    fields.setdefault("variant", next(iter(claim.variants)))
    subject = record(*exchanges, waits=waits, scenario=claim.staging, **fields)
    outcome = judged(claim.claim, claim.kind, claim.id, claim.judge, subject)
    assert outcome.verdict != "unsound", outcome.reason
    return outcome


def script_of(scenario: str, variant: str = "") -> Script:
    """The script of a scenario's variant, where its variants are scripts."""
    variants = load_scenarios()[scenario].variants
    script = variants[variant or next(iter(variants))]
    assert isinstance(script, Script)
    return script


def found(outcome: Result) -> list[tuple[str, str]]:
    """Kind and actual of each finding."""
    return [(finding.kind, finding.actual) for finding in outcome.findings]


def passes(outcome: Result) -> bool:
    return (outcome.verdict, outcome.findings) == ("pass", ())

"""Verdicts: what a judge says of a record, and what becomes of it. Pure."""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from harness.contexts import Context, troubles
from harness.loops import Pairing
from harness.record import LET_GO, UNSOUND_OUTCOMES, Record

Verdict = Literal["pass", "fail", "unsound", "blocked", "skipped"]
Kind = Literal["required", "desired", "observed"]
ONCE = "each context is entered once, and exited once by the task that entered it"
VERDICTS: tuple[Verdict, ...] = ("pass", "fail", "unsound", "blocked", "skipped")


@dataclass(frozen=True, slots=True)
class Finding:
    """What was expected and what was seen instead. `kind` is the short class of it, as in `masked` or `blocked`."""

    expected: str
    actual: str
    hint: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Metric:
    """A number that was measured; its name ends in its unit. Never given for what was not measured."""

    name: str
    value: float


Judgement = Iterable[Finding | Metric]
Judge = Callable[[Record], Judgement]


@dataclass(frozen=True)
class Result:
    """The verdict on one scenario's variant, with one target, on one pairing of loops."""

    target: str
    scenario: str
    variant: str
    kind: Kind
    loops: Pairing
    verdict: Verdict
    claim: str
    findings: tuple[Finding, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    staged: bool = True
    reason: str = ""
    """Why it is unsound, blocked or skipped."""
    output: str = ""
    record: Record | None = None
    expected: bool = False
    """Whether it is a failure that was expected, or blocked by one."""

    @property
    def name(self) -> str:
        """As people see and select it: delivery/lockstep[chunked-512]."""
        return f"{self.scenario}[{self.variant}]"

    def to_json(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "target": self.target,
            "scenario": self.scenario,
            "variant": self.variant,
            "kind": self.kind,
            "loops": self.loops.to_json(),
            "verdict": self.verdict,
            "expected": self.expected,
            "staged": self.staged,
            "findings": [
                {
                    "claim": self.claim,
                    "expected": f.expected,
                    "actual": f.actual,
                    **({"kind": f.kind} if f.kind else {}),
                }
                for f in self.findings
            ],
            "metrics": dict(self.metrics),
        }
        if self.reason:
            data["reason"] = self.reason
        return data


def judged(claim: str, kind: Kind, scenario: str, judge: Judge, record: Record) -> Result:
    """Have a record judged. A judge that crashes leaves the result unsound: nobody is blamed for our mistake."""

    def result(verdict: Verdict, **details: Any) -> Result:
        return Result(
            record.target,
            scenario,
            record.variant,
            kind,
            record.loops,
            verdict,
            claim,
            staged=record.staged,
            output=record.output,
            record=record,
            **details,
        )

    if record.skipped:
        return result("skipped", reason=record.skipped)
    if record.unsound:
        return result("unsound", reason=record.unsound)
    if not record.exchanges:
        return result("unsound", reason="nothing was staged: the record holds no exchange")
    if wait := next((wait for wait in record.waits if wait.outcome in UNSOUND_OUTCOMES), None):
        return result("unsound", reason=f"the target was {wait.outcome} while we waited: {wait.what}")
    try:
        said = list(judge(record))
    except Exception:
        return result("unsound", reason=f"the judge of {scenario} crashed:\n{traceback.format_exc()}")
    findings = tuple(word for word in said if isinstance(word, Finding))
    if findings:
        findings += tuple(seen_inside(record))
    metrics = {word.name: word.value for word in said if isinstance(word, Metric)}
    return result("fail" if findings and kind != "observed" else "pass", findings=findings, metrics=metrics)


def seen_inside(record: Record) -> Iterator[Finding]:
    """What the ledger adds to what the wire showed, for a target hosted in our own process.

    Where patience was spent, what happened after it happened never: by then the staging has had the upstream go on.
    """
    spent = (wait.ended for wait in record.waits if wait.outcome == "never" and not wait.staging)
    until = max(spent, default=math.inf)
    gone = all(exchange.over and exchange.over.at <= until for exchange in record.exchanges)
    stays = any(
        exchange.attempts and not any(event.at <= until for event in exchange.seen("finished", *LET_GO))
        for exchange in record.exchanges
    )
    for data in record.facts.get("contexts", []):
        context = Context.from_json(data)
        if context.made.at > until:
            continue
        in_time = replace(context, exits=tuple(moment for moment in context.exits if moment.at <= until))
        for trouble, sentence in troubles(in_time).items():
            if trouble != "never_exited":
                yield Finding(ONCE, sentence, kind="context")
            elif gone:  # else it may rightly be open: there is still somebody to stream to
                wire = "the upstream saw its connection open for ever; " if stays else ""
                yield Finding(ONCE, wire + sentence, kind="context")


def exit_code(results: Iterable[Result], *, strict: bool = False, stale: bool = False) -> int:
    """0: nothing unexpected; 1: a failure that counts; 2: nothing was selected; 3: something required was not judged.

    Not judged is what is unsound, and what is blocked by a failure that is neither among these nor expected.
    `stale`: whether an expected failure now passes, which counts too.
    """
    results = list(results)
    counts = ("required", "desired") if strict else ("required",)
    if not results:
        return 2
    if stale or any(r.verdict == "fail" and r.kind in counts and not r.expected for r in results):
        return 1
    not_judged = (r for r in results if r.verdict in ("unsound", "blocked") and not r.expected)
    return 3 if any(r.kind == "required" for r in not_judged) else 0


def summary(results: Iterable[Result]) -> dict[str, int]:
    """How many of each verdict."""
    counts: dict[str, int] = dict.fromkeys(VERDICTS, 0)
    for result in results:
        counts[result.verdict] += 1
    return counts

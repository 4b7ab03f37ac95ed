"""The stream inside an app, put to the deferred-stream contract: who opens the upstream, when, and who closes it.

For an app whose module has `make_stream(url, text)` beside its factory. The contract runs in a process of its own, on
the target's event loop; the client is the contract's own.
"""

from dataclasses import replace

from fake_upstream.pacing import burst
from fake_upstream.script import Script
from harness.deferred import Course, judge_courses
from harness.evidence import count
from harness.record import Record
from harness.stage import Stage
from harness.verdict import Finding, Judgement

CLAIM = "An adapter's stream opens lazily, once, and closes once, in the task that opened it."
KIND = "required"
CITES = ("BerriAI/litellm#14892", "BerriAI/litellm#33976")
INSIDE = True
VARIANTS = {"make_stream": Script(burst(2, 500), content_type="audio/mpeg")}


async def play(stage: Stage) -> None:
    client, _ = await stage.ask(stage.variant)
    await client.ends()
    stage.facts["courses"] = await stage.contract()


def judge(record: Record) -> Judgement:
    for found in judge_courses(map(Course.from_json, record.facts.get("courses", []))):
        if found.kind in ("lazy", "opens_once", "unopened"):
            yield broken(found, "the upstream is asked where the stream is made, not at the first pull")
        elif found.kind == "stays_open":
            yield broken(found, "the context ends with the function that opened it, or the body is read whole first")
        elif found.kind == "same_task":
            yield broken(found, "a callback or a task of its own closes the stream, not the task that pulls it")
        elif found.kind == "errors_surface":
            yield broken(found, "nobody looks at the upstream's status before a body is made of its response")
        elif found.kind == "no_second_body":
            yield broken(found, "a closed stream ends like one that was empty: let it raise")
        else:
            yield broken(found, "what is iterated within is not closed with the stream: `async with aclosing(…)`")


def broken(found: Finding, hint: str) -> Finding:
    """A violated clause, with the first course that showed it."""
    first, *more = found.actual.splitlines()
    actual = f"{first} (and {count(len(more), 'course')} more like this)" if more else first
    return replace(found, actual=actual, hint=hint)

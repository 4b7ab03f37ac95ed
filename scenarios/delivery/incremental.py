"""The field by which a sender asks intermediaries not to collect a message (RFC 10036), on either way and on both.

Two stagings: without the field, and with it. A target need not know the field, and one that says nothing of it is
measured only. It is judged where it declares the field, or shows that it knows it: by refusing what is marked, or by
streaming what is marked and nothing else.
"""

from fake_upstream.pacing import lockstep
from fake_upstream.script import Script
from harness.evidence import count, held_back, how_it_ended
from harness.record import Exchange, Record, Wait
from harness.stage import Stage
from harness.verdict import Finding, Judgement, Metric

CLAIM = "What is marked `Incremental: ?1` is forwarded as it comes, with its mark, or refused by name."
KIND = "desired"
CITES = ("RFC 10036, Incremental Forwarding of HTTP Messages", "caddyserver/caddy#8020")
VARIANTS = {
    "both": ("?1", "?1"),
    "response": ("", "?1"),
    "request": ("?1", ""),
    "unknown-parameter": ("?1;x=2", "?1;x=2"),
    "false": ("?0", "?0"),
    "token": ("true", "true"),
    "integer": ("1", "1"),
    "twice": ("?1, ?1", "?1, ?1"),
}
"""The field on the request and on the response. All but Booleans are to be ignored, and so are unknown parameters.

Where it asks for nothing, there is nothing to wait for: only a refusal would be wrong.
"""
SCRIPT = Script(lockstep(6, 100), content_type="audio/mpeg")
"""Small: a few bytes may be held for a moment, but not for ever."""
FIELD = "incremental"


async def play(stage: Stage) -> None:
    stage.facts["declared"] = stage.declared.incremental
    on_request, on_response = stage.variant
    asks = _is_true(on_request) or _is_true(on_response)
    for mark in (False, True):
        script = SCRIPT.but(headers=((FIELD, on_response),)) if mark and on_response else SCRIPT
        client, upstream = await stage.ask(script, headers={FIELD: on_request} if mark and on_request else {})
        for end in SCRIPT.ends if asks else ():
            if not await client.holds(end):
                break
            upstream.release()
        upstream.release(None)
        await client.ends()


def judge(record: Record) -> Judgement:
    if len(record.exchanges) < 2:
        return
    plain, marked = record.exchanges
    on_request, on_response = VARIANTS[record.variant]
    held_plain, held_marked = _held(record, 0), _held(record, 1)
    if marked.status is not None and marked.status >= 400 and marked.status != plain.status:
        yield from _refusal(marked, asked=_is_true(on_request) or _is_true(on_response))
        return
    for name, exchange, wait in (("plain", plain, held_plain), ("marked", marked, held_marked)):
        if wait and exchange.attempts:
            held = exchange.emitted_bytes(wait.ended) - exchange.received_bytes(wait.ended)
            yield Metric(f"held_back_{name}_bytes", held)
    if not _is_true(on_request) and not _is_true(on_response):
        return
    if held_marked and (record.facts.get("declared") or not held_plain):
        yield Finding(
            f"{count(_reached(record))} at the client, as the message is marked",
            held_back(marked, held_marked),
            "a proxy that knows the field and must collect has to refuse; small amounts may wait, but not for ever",
            "blocked",
        )
    if (record.facts.get("declared") or held_plain) and not held_marked:
        yield from _dropped(marked, on_request, on_response)


def _refusal(marked: Exchange, asked: bool) -> Judgement:
    """An honest refusal names itself, and is for what is marked only."""
    headers = dict(marked.headers)
    named = "incremental_refused" in headers.get("proxy-status", "")
    said = f"status {marked.status}, proxy-status: {headers.get('proxy-status', 'none')}; {how_it_ended(marked)}"
    if not asked:
        hint = "only the Boolean ?1 asks for anything; ?0 says what holds anyway, all else is to be ignored"
        yield Finding("the answer that there is without the field", said, hint, "misread")
    elif not (marked.status == 501 and named) and marked.status != 429:
        hint = "501 with `Proxy-Status: …; error=incremental_refused`, or 429 where there are too many such requests"
        yield Finding("a refusal that names itself", said, hint, "unnamed")


def _dropped(marked: Exchange, on_request: str, on_response: str) -> Judgement:
    """The mark is for every intermediary on the way."""
    asked = next(iter(marked.seen("asked")), None)
    ways = (
        ("request", on_request, dict(asked.headers) if asked else {}),
        ("response", on_response, dict(marked.headers)),
    )
    for name, given, headers in ways:
        found = {key.lower(): value for key, value in headers.items()}.get(FIELD, "")
        if given and not _is_true(found):
            hint = "the next proxy on the way does not know that it must not collect"
            yield Finding(f"Incremental: {given} on the {name}", f"{found or 'no such field'}", hint, "dropped")


def _held(record: Record, exchange: int) -> Wait | None:
    """The wait for bytes in which one of the two stagings got stuck; None if it did not."""
    waits = (wait for wait in record.waits if wait.goal == "holds" and wait.exchange == exchange)
    return next((wait for wait in waits if not wait.happened), None)


def _reached(record: Record) -> int:
    chunk = sum(wait.goal == "holds" and wait.exchange == 1 and wait.happened for wait in record.waits)
    return SCRIPT.ends[min(chunk, len(SCRIPT.ends) - 1)]


def _is_true(value: str) -> bool:
    """Whether a field says ?1, with whatever parameters (RFC 9651, section 4.2)."""
    return value.partition(";")[0].strip() == "?1"

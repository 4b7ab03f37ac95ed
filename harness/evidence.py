"""What judges say: sentences about a record, each made of what both ends wrote down. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from fake_upstream.events import Event
from fake_upstream.sse import audio_of
from harness.record import Exchange, Record, Wait
from harness.verdict import Finding, Judgement, Metric


def count(size: int, noun: str = "byte") -> str:
    """1 byte, 512 bytes, 200,000,000 bytes."""
    return f"{size:,} {noun}{'' if size == 1 else 's'}"


def held_back(exchange: Exchange, wait: Wait) -> str:
    """Who held what when patience was spent, and whether it came once the upstream went on."""
    if exchange.over and exchange.over.at <= wait.ended:
        return how_it_ended(exchange)
    sent, came = exchange.emitted_bytes(wait.ended), exchange.received_bytes(wait.ended)
    if not exchange.attempts:
        return f"{count(came)}; the proxy never asked the upstream"
    no_head = " (headers withheld too)" if _head_came_after(exchange, wait.ended) else ""
    if wait.outcome == "wedged":
        no_head += "; nothing else passes through it either: it is wedged"
    if sent > came:
        later = "; they came once the upstream had gone on" if exchange.received_bytes() >= sent else ""
        return f"{count(came)}; the proxy holds {sent - came:,}{no_head}{later}"
    return f"{count(came)}; the upstream has sent {count(sent)}{no_head}"


def how_it_ended(exchange: Exchange) -> str:
    """How the client's response ended, with how many bytes and how many questions to the upstream."""
    over, size = exchange.over, count(len(exchange.received))
    status = f"status {exchange.status}" if exchange.status is not None else "no head"
    asked = {0: "; the proxy never asked the upstream", 1: ""}.get(
        exchange.attempts, f"; the proxy asked the upstream {exchange.attempts} times"
    )
    if over is None:
        return f"the response is still open ({status}, {size}){asked}"
    if over.what == "broke":
        return f"the response broke ({status}, {size}): {over.note}{asked}"
    if over.what == "left":
        return f"the client left ({status}, {size}){asked}"
    return f"the response ended ({status}, {size}){asked}"


def stayed(record: Record, hint: str) -> Judgement:
    """For the disconnects (see departure.py): whether the departure let the upstream go, and if not, what did."""
    exchange = record.exchanges[0]
    left = departure(exchange)
    gone = exchange.let_go
    if not exchange.attempts:
        if not left:  # a client that left before the proxy asked leaves nothing to let go of
            yield Finding("the upstream sees its connection closed", how_it_ended(exchange), hint)
        return
    if any(w.goal == "saw" and w.exchange == 0 and not w.staging and not w.happened for w in record.waits):
        if exchange.seen("finished"):
            actual = f"the proxy stayed, and then took all {count(exchange.script.total)}"
        elif gone:
            actual = f"the proxy stayed until the upstream sent more, then left after {count(exchange.emitted_bytes())}"
        else:
            actual = "the proxy stayed, and did not leave when the upstream sent more either"
        yield Finding("the upstream sees its connection closed", actual, hint, "deaf")
        return
    stayers = [record.exchanges[index] for index in record.facts.get("stayers", ())]
    told = [one for one in stayers if one.attempts]
    if told and not any(kept(one) for one in told):
        yield Finding(
            "the upstream is let go because the client left",
            "the proxy left after its own time limit, not because the client left: "
            "the upstream of a client that stayed was let go as well",
            f"{hint}; a time limit on the upstream's silence hides it",
            "time_limit",
        )
    elif left and gone and gone.at >= left.at:
        yield Metric("abort_propagation_latency_ms", (gone.at - left.at) / 1e6)


def departure(exchange: Exchange) -> Event | None:
    """When the client left, if it was the client that ended it."""
    return next((event for event in exchange.client if event.what == "left"), None)


def kept(exchange: Exchange) -> bool:
    """Whether the upstream was asked, and not let go before the client left, if it did."""
    left, gone = departure(exchange), exchange.let_go
    return exchange.attempts > 0 and (gone is None or (left is not None and gone.at >= left.at))


def spoilt(exchange: Exchange) -> str:
    """How an answer came out that should have ended with exactly its script's bytes; "" if it did."""
    if exchange.over and exchange.over.what == "ended" and exchange.received == exchange.offered:
        return ""
    parted = difference(exchange.received, exchange.offered)
    return how_it_ended(exchange) + (f"; {parted}" if parted else "")


def first_spoilt(exchanges: Iterable[Exchange], when: str, hint: str, kind: str) -> Judgement:
    """The first of these answers, all of which should have ended with exactly their scripts' bytes, that did not."""
    for number, exchange in enumerate(exchanges, 1):
        if actual := spoilt(exchange):
            yield Finding(f"request {number}{when}: {count(exchange.script.total)}, exact", actual, hint, kind)
            return


def difference(received: bytes, offered: bytes) -> str:
    """Where the bytes part; "" if one begins with the other."""
    at = next((i for i, (a, b) in enumerate(zip(received, offered, strict=False)) if a != b), None)
    if at is not None:
        return f"byte {at:,} is {received[at : at + 16]!r}, sent was {offered[at : at + 16]!r}"
    if len(received) > len(offered):
        return f"{count(len(received) - len(offered))} more than were sent: {received[len(offered) :][:40]!r}"
    return ""


def event_lost(record: Record, audio: bytes, hint: str) -> Judgement:
    """For stagings that wait for the audio of an event stream, step by step: what did not come, and whether at all."""
    (exchange,) = record.exchanges
    heard = audio_of(exchange.received)
    whole = heard == audio
    if wait := record.missed("holds"):
        never = "" if whole else "; that audio did not come later either"
        actual = f"bytes of the stream at the client: {held_back(exchange, wait)}{never}"
        yield Finding(wait.what, actual, hint, "blocked" if whole else "lost")
    elif not whole:
        changed = f"{count(len(heard))} of audio{', not the same' if len(heard) == len(audio) else ''}"
        yield Finding(f"{count(len(audio))} of audio", f"{changed}; {how_it_ended(exchange)}", hint, "changed")


def _head_came_after(exchange: Exchange, instant: int) -> bool:
    head = next((event for event in exchange.client if event.what == "head_received"), None)
    return head is None or head.at > instant

"""A stream that outlives what a proxy keeps for a while: cached clients, sessions, tokens, a limit on the whole."""

from fake_upstream.pacing import steady
from fake_upstream.script import Script
from harness.evidence import count, spoilt
from harness.record import Record
from harness.stage import Stage
from harness.verdict import Finding, Judgement

CLAIM = "A stream that is never silent for long lasts as long as its audio, here three minutes."
KIND = "desired"
CITES = ("BerriAI/litellm#22925", "BerriAI/litellm#24929", "BerriAI/litellm#38957")
SLOW = True
SECONDS = 180
VARIANTS = {"180s": Script(steady(SECONDS, 4_800, every=1.0), content_type="audio/mpeg")}


async def play(stage: Stage) -> None:
    client, upstream = await stage.ask(stage.variant)
    await client.holds(4_800, staging=True)
    # The upstream keeps to its own clock: it will come to the end, or has been let go before.
    await upstream.is_done_with(floor=2.0 * SECONDS, staging=True)
    await client.ends()


def judge(record: Record) -> Judgement:
    (exchange,) = record.exchanges
    if actual := spoilt(exchange):
        cut = exchange.let_go is not None and not exchange.seen("finished")
        yield Finding(
            f"{count(exchange.script.total)} in {count(len(exchange.script.chunks), 'chunk')}, one a second",
            actual + (f"; the proxy let the upstream go after {count(exchange.emitted_bytes())}" if cut else ""),
            "a limit on the whole request, or a cached client that was closed while its streams were in use",
            "time_limit" if cut else "",
        )

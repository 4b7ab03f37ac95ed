"""Departures through real proxies: what lets go late because it hears late is told from what has a time limit."""

from __future__ import annotations

from pathlib import Path

from hosted import write_app

from harness.loops import Loop, Pairing
from harness.run import Lab
from harness.scenario import load_scenarios
from harness.target import Target
from harness.verdict import Result

HEARS_LATE = """
    from harness.proxies.reference import *

    class HearsLate(Proxy):
        def __init__(self, upstream_url):
            super().__init__(upstream_url)
            self.http.timeout = httpx.Timeout(6.0)

        async def client_left(self, receive):
            await super().client_left(receive)
            await anyio.sleep(1.0)

    build = HearsLate
"""
ONE_AT_A_TIME = """
    from harness.proxies.reference import *

    class OneAtATime(Proxy):
        def __init__(self, upstream_url):
            super().__init__(upstream_url)
            self.turn = anyio.Lock()

        async def ask(self, request):
            turn = self.turn if b"canary" not in request.content else anyio.Lock()
            async with turn:
                async for item in deferred_stream(self.http, request):
                    yield item

        async def client_left(self, receive):
            await super().client_left(receive)
            await anyio.sleep(1.0)

    build = OneAtATime
"""


def judged(code: str, folder: Path, loop: Loop) -> Result:
    scenario = load_scenarios()["disconnect/silent_upstream"]
    spec = write_app(folder, code)
    with Lab() as lab:
        record = lab.perform(scenario, "reset", Target(f"app:{spec}", spec), Pairing(loop, loop, loop))
        return lab.judge(scenario, record)


def test_a_proxy_that_hears_late_passes_also_if_it_has_a_time_limit(loop: Loop, tmp_path: Path) -> None:
    result = judged(HEARS_LATE, tmp_path, loop)
    assert (result.verdict, result.findings) == ("pass", ())
    assert result.record is not None
    assert result.record.waits[1].trips > 0, "it must not have come at once, or nothing was tried"
    assert len(result.record.exchanges) >= 3


def test_a_proxy_that_takes_one_stream_at_a_time_and_hears_late_passes(tmp_path: Path) -> None:
    """A stayer then keeps the leaver out; that it is held all the while acquits."""
    result = judged(ONE_AT_A_TIME, tmp_path, "asyncio")
    assert (result.verdict, result.findings) == ("pass", ())
    assert result.record is not None
    assert [exchange.attempts for exchange in result.record.exchanges] == [1, 1, 0]

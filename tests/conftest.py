"""One coroutine, two loops: a test that takes `loop` runs once on asyncio and once on trio.

`--loop asyncio` or `--loop trio` keeps to one. Tests that need asyncio itself are marked `asyncio` and run by
pytest-asyncio (strict). The guard holds that the loop that was asked for is the one that runs.
"""

from __future__ import annotations

import inspect
import signal
from functools import partial
from typing import Any

import anyio
import pytest
import sniffio

LOOPS = ("asyncio", "trio")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--loop", choices=LOOPS, help="run the tests of both loops on this one only")


def pytest_configure(config: pytest.Config) -> None:
    # What a shell starts in the background ignores SIGINT, and so would the programs that our tests interrupt.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "loop" in metafunc.fixturenames:
        asked = metafunc.config.getoption("--loop")
        metafunc.parametrize("loop", [asked] if asked else LOOPS)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    test = pyfuncitem.obj
    if "loop" not in pyfuncitem.fixturenames or not inspect.iscoroutinefunction(test):
        return None
    given: dict[str, Any] = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    anyio.run(partial(_guarded, given["loop"], test, given), backend=given["loop"])
    return True


async def _guarded(loop: str, test: Any, given: dict[str, Any]) -> None:
    running = sniffio.current_async_library()
    assert running == loop, f"the test asked for {loop} and got {running}"
    await test(**given)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """`--loop trio` runs just the tests of both loops: what knows no loop runs with `--loop asyncio`."""
    if config.getoption("--loop") == "trio":
        mine = [item for item in items if "loop" in getattr(item, "fixturenames", ())]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(mine)])
        items[:] = mine

"""streamproof inside a project's own pytest: one fixture, `streamproof`.

    def test_my_gateway_streams(streamproof):
        streamproof.check("app:gateway.py:build", "delivery")

    def test_what_the_upstream_saw(streamproof):
        with streamproof.upstream() as upstream:
            ...                     # point the proxy at upstream.url, talk to it
            assert len(upstream.asked("Hello.")) == 1

    async def test_my_adapter_opens_late_and_closes_once(streamproof):
        await streamproof.check_deferred_stream(lambda url, text: my_stream(url, text))

    async def test_one_open_one_close_same_task_nothing_left(streamproof):
        with streamproof.contexts() as ledger:
            ...                     # whatever opens a response, with httpx, httpx2 or aiohttp
        ledger.assert_closed_once()

Nothing of streamproof is imported before the fixture is used. A project may have folders called `harness` or
`scenarios` of its own: ours are then imported beside them, under the same names but out of sight.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from harness.inside import Streamproof

OURS = ("fake_upstream", "harness", "scenarios")
HOME = Path(__file__).resolve().parent


@pytest.fixture(scope="session")
def streamproof() -> Iterator[Streamproof]:
    """The stations, kept for the whole session; whatever they start ends with it."""
    inside = load("harness.inside")
    with inside.Streamproof() as ready:
        yield ready


def load(name: str) -> ModuleType:
    """Import one of our modules and all that it needs, whatever else goes by these names.

    Raises ImportError with a word on who is in the way, if that cannot be helped.
    """
    with _out_of_sight():
        try:
            module = importlib.import_module(name)
            importlib.import_module("harness.scenario").load_scenarios()
        except ImportError as error:
            seen = {package: getattr(sys.modules.get(package), "__file__", None) for package in OURS}
            raise ImportError(f"streamproof cannot be imported: {error}; found {seen}, expected in {HOME}") from error
    return module


@contextmanager
def _out_of_sight() -> Iterator[None]:
    """Put others' modules of our names aside, and ours first on the path; afterwards all is as it was.

    If nobody else uses the names, ours stay importable, so that a test may name their types.
    """
    others = {
        name: module for name, module in sys.modules.items() if _is_named_like_ours(name) and not _is_ours(module)
    }
    for name in others:
        del sys.modules[name]
    path = list(sys.path)
    sys.path.insert(0, str(HOME))
    try:
        yield
    finally:
        sys.path[:] = path
        if others or _someone_else_has_our_names():
            for name in [name for name in sys.modules if _is_named_like_ours(name)]:
                del sys.modules[name]
            sys.modules.update(others)


def _is_named_like_ours(name: str) -> bool:
    return name.partition(".")[0] in OURS


def _is_ours(module: ModuleType) -> bool:
    places = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]
    return any(place and Path(place).resolve().is_relative_to(HOME / package) for place in places for package in OURS)


def _someone_else_has_our_names() -> bool:
    """Whether an import of one of our names, here and now, would find somebody else's."""
    for package in OURS:
        found = importlib.machinery.PathFinder.find_spec(package)
        places = [found.origin, *(found.submodule_search_locations or ())] if found else []
        if any(place and not Path(place).resolve().is_relative_to(HOME / package) for place in places):
            return True
    return False

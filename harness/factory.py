"""Finds the factory of an app by its name, in the child process, and the stream that may be offered beside it.

Knows what may stand in whose way by its name.

An app's own project may have folders called `harness` or `scenarios`. Once ours are loaded, the app gets the
names: our modules keep one another by reference and need them no more.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from harness.servers import App

OURS = ("fake_upstream", "harness", "scenarios")
MAKE_STREAM = "make_stream"
HOME = Path(__file__).resolve().parent.parent


class LoadError(Exception):
    """There is no such app: a mistake of whoever named it, not of the app."""


def load_factory(spec: str) -> Callable[[str], App]:
    """`MODULE:FACTORY` or `path/to/file.py:FACTORY` → the factory. Raises LoadError, or what the module raises."""
    _give_up_our_names()
    return load_beside_ours(spec)


def load_stream(spec: str) -> Callable[[str, str], Any]:
    """The `make_stream` (courses.py) that the app's module has beside its factory. Raises as `load_factory` does."""
    _give_up_our_names()
    place, module = _module_of(spec)
    make_stream = getattr(module, MAKE_STREAM, None)
    if not callable(make_stream):
        raise LoadError(f"{place} has no {MAKE_STREAM}(url, text); docs/deferred-streams.md says what it is")
    return cast(Callable[[str, str], Any], make_stream)


def load_beside_ours(spec: str) -> Callable[[str], App]:
    """The same where the names stay ours, as in the harness's own process."""
    place, module = _module_of(spec)
    name = spec.rpartition(":")[2]
    factory = getattr(module, name, None)
    if not callable(factory):
        has = [n for n, value in vars(module).items() if callable(value) and not n.startswith("_")]
        raise LoadError(f"{place} has no callable {name!r}; it has {', '.join(has) or 'nothing callable'}")
    return cast(Callable[[str], App], factory)


def _module_of(spec: str) -> tuple[str, ModuleType]:
    place = spec.rpartition(":")[0]
    return place, _load_file(Path(place).resolve(), place) if place.endswith(".py") else _load_module(place)


_files: dict[Path, ModuleType] = {}
"""Files that were executed: each once, as a module is, however often its factory is asked for."""


def _load_file(path: Path, place: str) -> ModuleType:
    if path in _files:
        return _files[path]
    if not path.is_file():
        raise LoadError(f"there is no file {place}")
    _put_on_path(path)
    found = importlib.util.spec_from_file_location(f"streamproof_target_{path.stem}", path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[found.name] = module
    found.loader.exec_module(module)
    _files[path] = module
    return module


def _load_module(place: str) -> ModuleType:
    _first_on_path(str(HOME) if place.partition(".")[0] in OURS else os.getcwd())
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name and (place == error.name or place.startswith(error.name + ".")):
            raise LoadError(
                f"there is no module {place} here; a file is named by its path, as in ./{place}.py"
            ) from None
        raise


def _give_up_our_names() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in OURS]:
        del sys.modules[name]


def _put_on_path(path: Path) -> None:
    """The file's folder first, as with `python FILE`; but last if the file is named after a library, not to hide it."""
    if path.is_relative_to(HOME / "harness"):
        _first_on_path(str(HOME))
        return
    folder = str(path.parent)
    others = [place for place in sys.path if os.path.realpath(place) != folder]
    is_library = PathFinder.find_spec(path.stem, others) is not None
    sys.path[:] = [*others, folder] if is_library else [folder, *others]


def _first_on_path(folder: str) -> None:
    sys.path[:] = [folder, *(place for place in sys.path if os.path.realpath(place) != folder)]

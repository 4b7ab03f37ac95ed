"""Presets as files: what TOML says of a proxy, checked field by field. docs/adding-a-target.md tells the form."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from harness.preset import (
    FIN_POLICIES,
    PLACES,
    PLAIN,
    SIGNALS,
    UPSTREAM_PLACES,
    Declared,
    Endpoint,
    Install,
    Preset,
    PresetError,
    is_field,
)

HOME = Path(__file__).parent / "targets"
T = TypeVar("T")


def preset_names() -> list[str]:
    """The presets that come with streamproof."""
    return sorted(path.stem for path in HOME.glob("*.toml"))


def load_preset(path: Path) -> Preset:
    """Read a preset. Raises PresetError, OSError."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PresetError(f"{path}: it is not TOML: {error}") from None
    return _preset(_Table(data, str(path)), path.stem)


def preset_of_command(name: str, words: tuple[str, ...], route: Endpoint) -> Preset:
    """A preset of a command line alone, as in `cmd:`. Raises PresetError."""
    _check_places(words, name)
    if not any("{port}" in word for word in words):
        raise PresetError(f"{name}: it must say where to listen: write {{port}}, and {{upstream}} for the upstream")
    return Preset(name, words, install=Install(binary=words[0]), routes=(route,))


class _Table:
    """A TOML table that is read field by field; what is left in the end was misspelt."""

    def __init__(self, data: Mapping[str, Any], where: str) -> None:
        self.data = dict(data)
        self.where = where

    def error(self, name: str, remedy: str) -> PresetError:
        value = f" is {self.data[name]!r}" if name in self.data else " is missing"
        return PresetError(f"{self.where}: field {name!r}{value}: {remedy}")

    def take(self, name: str, kind: type[T], default: T) -> T:
        value = self.data.get(name, default)
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.error(name, f"give a {_NAMES[kind]}")
        self.data.pop(name, None)
        return value

    def words(self, name: str) -> tuple[str, ...]:
        value = self.data.get(name, [])
        if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
            raise self.error(name, "give a list of strings")
        self.data.pop(name, None)
        return tuple(value)

    def strings(self, name: str) -> Mapping[str, str]:
        value = self.data.get(name, {})
        if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
            raise self.error(name, "give a table of strings")
        self.data.pop(name, None)
        return value

    def one_of(self, name: str, choices: tuple[str, ...], default: str) -> str:
        if self.data.get(name, default) not in choices:
            raise self.error(name, f"choose one of {', '.join(choices)}")
        return str(self.data.pop(name, default))

    def positive(self, name: str, default: float) -> float:
        if not 0 < (value := self.take(name, float, default)) <= 3600:
            self.data[name] = value
            raise self.error(name, "give seconds, above 0 and up to 3600")
        return value

    def count(self, name: str) -> int | None:
        if name not in self.data:
            return None
        if (value := self.take(name, int, 0)) < 0:
            self.data[name] = value
            raise self.error(name, "give how many, 0 or more")
        return value

    def table(self, name: str) -> _Table:
        return _Table(self.take(name, dict, {}), f"{self.where}: [{name}]")

    def done(self, *others: _Table) -> None:
        for table in (self, *others):
            if table.data:
                raise PresetError(
                    f"{table.where}: unknown field {next(iter(table.data))!r}; see docs/adding-a-target.md"
                )


_NAMES = {str: "string", bool: "truth value", float: "number", int: "whole number", dict: "table"}


def _preset(top: _Table, name: str) -> Preset:
    install, start, ready, stop = (top.table(part) for part in ("install", "start", "ready", "stop"))
    declares, routes = top.table("declares"), top.table("routes")
    command = start.words("command")
    if not command:
        raise PresetError(f"{start.where}: field 'command' has no words: give the command, as a list of them")
    pip, binary = install.words("pip"), install.take("binary", str, "")
    if bool(pip) == bool(binary):
        raise PresetError(f"{install.where}: say either 'pip', a list of packages, or 'binary', a program's name")
    version = install.take("version", str, "")
    if not version and any("{version}" in word for word in pip):
        raise install.error("version", "say which version {version} stands for")
    declared = _declared(declares, Declared())
    preset = Preset(
        name=name,
        command=command,
        about=top.take("about", str, ""),
        version=version,
        install=Install(pip, binary, install.take("hint", str, ""), install.words("version_command")),
        files=start.strings("files"),
        env=start.strings("env"),
        clean_env=start.take("clean_env", bool, False),
        ready_path=ready.take("path", str, ""),
        ready_seconds=ready.positive("seconds", 60.0),
        stop_signal=stop.one_of("signal", SIGNALS, "SIGTERM"),
        stop_seconds=stop.positive("seconds", 5.0),
        routes=tuple(_route(routes.table(name), name, declared) for name in list(routes.data))
        or (Endpoint(declared=declared),),
    )
    top.done(install, start, ready, stop, declares, routes)
    _check_places((*command, *preset.env.values()), start.where)
    _check_places(pip, install.where, ("version",))
    for file in preset.files:
        if not file or file.startswith("/") or ".." in file.split("/"):
            raise PresetError(f"{start.where}: file {file!r}: name it as it is called below {{dir}}")
    return preset


def _route(table: _Table, name: str, declared: Declared) -> Endpoint:
    path = table.take("path", str, PLAIN.path)
    if not path.startswith("/"):
        raise PresetError(f"{table.where}: field 'path' is {path!r}: begin it with /")
    headers, declares = table.strings("headers"), table.table("declares")
    for field_name, value in headers.items():
        if not is_field(field_name, value):
            raise PresetError(f"{table.where}: header {field_name!r} is {value!r}: give a name and ASCII text")
    _check_places(tuple(headers.values()), table.where, UPSTREAM_PLACES)
    route = Endpoint(
        name=name,
        path=path,
        headers=tuple(headers.items()),
        model=table.take("model", str, PLAIN.model),
        voice=table.take("voice", str, PLAIN.voice),
        declared=_declared(declares, declared),
    )
    table.done(declares)
    return route


def _declared(table: _Table, base: Declared) -> Declared:
    fin: Any = table.one_of("fin", FIN_POLICIES, base.fin)
    pool, slots = table.count("pool"), table.count("slots")
    return Declared(
        fin=fin,
        pool=base.pool if pool is None else pool,
        slots=base.slots if slots is None else slots,
        incremental=table.take("incremental", bool, base.incremental),
    )


def _check_places(words: tuple[str, ...], where: str, places: tuple[str, ...] = PLACES) -> None:
    for word in words:
        if unknown := [name for name in re.findall(r"\{([a-z_]+)\}", word) if name not in places]:
            raise PresetError(
                f"{where}: {{{unknown[0]}}} in {word!r} stands for nothing; there are {', '.join(places)}"
            )

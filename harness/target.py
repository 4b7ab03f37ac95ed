"""Targets: what can be put under test, and how it is named. Pure but for reading a preset's file."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from harness.preset import PLAIN, Endpoint, Preset, PresetError
from harness.preset_file import HOME, load_preset, preset_names, preset_of_command

PROXIES = "harness.proxies"
SPECIMENS = Path(__file__).parent / "specimens"
BODY_PATH = "/audio/speech"
INNOCENTS = Path(__file__).parent / "innocents"
UNSAID = replace(PLAIN, path="")
"""Nothing was said of how a request gets through: a URL then has its own path, and everything else the usual one."""


class TargetError(ValueError):
    """A `--target` that names nothing."""


@dataclass(frozen=True, slots=True)
class Target:
    """A proxy under test. `name` is what people type to have just this one.

    One of three says where it comes from: `app` (MODULE_OR_FILE:FACTORY, an app that we host), `preset` (a program
    that we start), or `url` (the base URL, without a path at its end, of one that somebody else has started).
    """

    name: str
    app: str = ""
    version: str = ""
    preset: Preset | None = None
    url: str = ""
    endpoint: Endpoint = PLAIN

    @property
    def stands_as(self) -> str:
        """Targets of the same are routes of one process. Two files may have the same name in different folders."""
        return self.name.removesuffix(f"/{self.endpoint.name}") if self.preset and self.endpoint.name else self.name

    @property
    def takes_options(self) -> bool:
        """Whether --header, --path, --model and --voice are about it; a preset brings its own."""
        return self.preset is None or self.name.startswith("cmd:")


def parse_targets(text: str, endpoint: Endpoint = UNSAID) -> tuple[Target, ...]:
    """Read a `--target`; a preset may stand up several. `endpoint` is for those that do not bring their own.

    Raises TargetError.
    """
    if text.startswith(("http://", "https://")):
        return (_url(text, endpoint),)
    endpoint = replace(endpoint, path=endpoint.path or PLAIN.path)
    try:
        if text.startswith("cmd:"):
            return (_command(text, endpoint),)
        if found := re.fullmatch(r"(?!app:)(.+\.toml)(?:/(.*))?", text):
            return _routes(load_preset(Path(found[1])), text, found[1], found[2] or "")
        name = text.partition("/")[0].partition("==")[0]
        if name in preset_names():
            stem, _, route = text.partition("/")
            return _routes(load_preset(HOME / f"{name}.toml"), text, stem, route)
    except PresetError as error:
        raise TargetError(f"--target {text!r}: {error}") from None
    except OSError as error:
        raise TargetError(f"--target {text!r}: {error.strerror}") from None
    return (replace(parse_target(text), endpoint=endpoint),)


def parse_target(text: str) -> Target:
    """Read a `--target` that is an app. Raises TargetError."""
    if text == "reference":
        from importlib.metadata import PackageNotFoundError, version

        try:
            ours = version("streamproof")
        except PackageNotFoundError:
            ours = ""
        return Target(text, f"{PROXIES}.reference:build", ours)
    if text.startswith("specimen:"):
        name = text.removeprefix("specimen:")
        if name not in specimen_names():
            raise TargetError(f"--target {text!r}: there is no such specimen; there are {', '.join(specimen_names())}")
        return Target(text, f"{SPECIMENS / name}.py:build")
    if text.startswith("innocent:"):
        name = text.removeprefix("innocent:")
        if name not in innocent_names():
            raise TargetError(f"--target {text!r}: there is no such innocent; there are {', '.join(innocent_names())}")
        return Target(text, f"{INNOCENTS / name}.py:build")
    if text.startswith("app:"):
        place, _, factory = text.removeprefix("app:").rpartition(":")
        if not place or not factory.isidentifier():
            raise TargetError(f"--target {text!r}: write app:MODULE_OR_FILE:FACTORY, as in app:gateway.py:build")
        return Target(text, f"{place}:{factory}")
    raise TargetError(
        f"--target {text!r}: there is no such target; give 'reference', 'app:MODULE_OR_FILE:FACTORY', "
        f"'cmd:gateway --port {{port}} --upstream {{upstream}}', a base URL, a preset ({', '.join(preset_names())}), "
        f"a preset's .toml file, 'specimen:NAME' (a proxy that is broken on purpose), "
        f"or 'innocent:NAME' (an odd one that is not)"
    )


def specimen_names() -> list[str]:
    """The proxies that are broken on purpose, by name."""
    return _names(SPECIMENS)


def innocent_names() -> list[str]:
    """The proxies with odd but correct habits, by name."""
    return _names(INNOCENTS)


def _names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.py") if not path.name.startswith("_"))


def _url(text: str, endpoint: Endpoint) -> Target:
    form = TargetError(f"--target {text!r}: give the proxy's base URL, as in http://127.0.0.1:4000/v1")
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - it is looked at only when it is asked for
    except ValueError:
        raise form from None
    if not parts.hostname or parts.query or parts.fragment or re.search(r"\s", text):
        raise form
    if parts.username is not None:
        raise TargetError("--target: a name and a password in a URL are shown in reports; say them with --header")
    if parts.scheme == "https":
        raise TargetError(f"--target {text!r}: the wire is watched on plain TCP; give its http:// address")
    root = f"{parts.scheme}://{parts.netloc}"
    path = endpoint.path or parts.path.rstrip("/") + BODY_PATH
    return Target(text, url=root, endpoint=replace(endpoint, path=path))


def _command(text: str, endpoint: Endpoint) -> Target:
    try:
        words = tuple(shlex.split(text.removeprefix("cmd:")))
    except ValueError as error:
        raise TargetError(f"--target {text!r}: {error}") from None
    if not words:
        raise TargetError(f"--target {text!r}: write cmd:'gateway --port {{port}} --upstream {{upstream}}'")
    return Target(text, preset=preset_of_command(text, words, endpoint), endpoint=endpoint)


def _routes(preset: Preset, text: str, stem: str, route: str) -> tuple[Target, ...]:
    """The routes that a text names: STEM or STEM/ROUTE, STEM being NAME, NAME==VERSION, or a .toml file."""
    if "==" in stem:
        preset = preset.with_version(stem.partition("==")[2])
    chosen = [endpoint for endpoint in preset.routes if route in ("", endpoint.name)]
    if not chosen:
        names = ", ".join(endpoint.name for endpoint in preset.routes if endpoint.name) or "none by name"
        raise TargetError(f"--target {text!r}: {preset.name} has no route {route!r}; there are {names}")
    return tuple(
        Target(f"{stem}/{e.name}" if e.name else stem, version=preset.version, preset=preset, endpoint=e)
        for e in chosen
    )

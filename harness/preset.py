"""Presets: a proxy that somebody else wrote, as a TOML file says how to get it, start it, reach it and stop it. Pure.

docs/adding-a-target.md tells the form. Commands, files and env may name, in braces:
`{upstream}` (the upstream's URL, ending in /v1), `{upstream_root}` (without /v1), `{upstream_address}` (HOST:PORT),
`{host}`, `{port}`, `{dir}` (a scratch folder of this start), `{bin}` (the installed environment's bin), `{version}`.
The header fields of a route may name the first three, packages the version.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

UPSTREAM_PLACES = ("upstream", "upstream_root", "upstream_address")
PLACES = (*UPSTREAM_PLACES, "host", "port", "dir", "bin", "version")
FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110, section 5.1."""
FEATURES = ("fin", "slots", "incremental")
"""What a target may declare that it does not do; see `Endpoint.lacks`."""
FIN_POLICIES = ("abort", "half-close")
SIGNALS = ("SIGTERM", "SIGINT", "SIGQUIT", "SIGKILL")
Fin = Literal["abort", "half-close"]


class PresetError(ValueError):
    """A preset that does not keep the form. Names the file, the field, the value and the remedy."""


@dataclass(frozen=True, slots=True)
class Declared:
    """What a target says of itself, so that nobody is blamed for what was never promised."""

    fin: Fin = "abort"
    """What a FIN from its client means to it: that the client is gone, or only that it will send no more."""
    pool: int | None = None
    """How many idle upstream connections it keeps at most, if it says."""
    slots: int | None = None
    """How many requests it has open upstream at most; 0: as many as come. None: it does not say."""
    incremental: bool = False
    """Whether it knows the field `Incremental` (RFC 10036)."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How a request gets through a target: `path` below its root, and what the request must say."""

    name: str = ""
    path: str = "/v1/audio/speech"
    headers: tuple[tuple[str, str], ...] = ()
    model: str = "tts-1"
    voice: str = "alloy"
    declared: Declared = Declared()

    def headers_for(self, upstream_url: str) -> dict[str, str]:
        """The header fields of a request, to a target in front of this upstream: some gateways are told so by each."""
        places = upstream_places(upstream_url)
        return {name: filled(value, places) for name, value in self.headers}

    def body(self, text: str, response_format: str) -> dict[str, str]:
        """The JSON of a request."""
        return {"model": self.model, "input": text, "voice": self.voice, "response_format": response_format}

    def lacks(self, feature: str) -> str:
        """Why a claim about this feature is none of this target's, by its own word; "" if it is."""
        declared = self.declared
        if feature == "fin" and declared.fin == "half-close":
            return "it declares that a FIN from its client is a half-close, not a departure"
        if feature == "slots" and declared.slots == 0:
            return "it declares that it has no limit of open requests"
        if feature == "incremental" and not declared.incremental:
            return "it does not declare that it knows the field Incremental (RFC 10036)"
        return ""


PLAIN = Endpoint()
"""As OpenAI's own."""


@dataclass(frozen=True, slots=True)
class Install:
    """Where the program comes from: `pip` packages for an environment of its own, or a `binary` on PATH."""

    pip: tuple[str, ...] = ()
    binary: str = ""
    hint: str = ""
    """How to get a binary that is missing; or what an installation costs."""
    version_command: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Preset:
    """All that is needed to stand a proxy up, and to take it down again."""

    name: str
    command: tuple[str, ...]
    about: str = ""
    version: str = ""
    install: Install = Install()
    files: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    clean_env: bool = False
    """Whether the program gets PATH, a HOME of its own and `env`, and nothing else of ours."""
    ready_path: str = ""
    """A path that answers 200 once the program is up; without it, only the request end to end says so."""
    ready_seconds: float = 60.0
    stop_signal: str = "SIGTERM"
    stop_seconds: float = 5.0
    """How long it may take to stop before it is killed."""
    routes: tuple[Endpoint, ...] = (PLAIN,)

    def with_version(self, version: str) -> Preset:
        """The same, in another version. Raises PresetError where the version is not ours to choose."""
        if not any("{version}" in word for word in self.install.pip):
            raise PresetError(f"{self.name} is the one that this machine has; its version cannot be chosen")
        if not re.fullmatch(r"[0-9][0-9A-Za-z.+!-]*", version):
            raise PresetError(f"version {version!r}: give a release, as in {self.name}=={self.version or '1.0'}")
        return replace(self, version=version)


def filled(text: str, places: Mapping[str, object]) -> str:
    """The text with its places filled in; braces that name none of them stay."""
    return re.sub(rf"{{({'|'.join(PLACES)})}}", lambda match: str(places.get(match[1], match[0])), text)


def upstream_places(url: str) -> dict[str, object]:
    """What the upstream's places stand for. `url` ends in /v1."""
    root = url.removesuffix("/v1")
    return dict(zip(UPSTREAM_PLACES, (url, root, root.partition("://")[2]), strict=True))


def is_field(name: str, value: str) -> bool:
    """Whether this can be sent as a header field."""
    return FIELD_NAME.fullmatch(name) is not None and value.isascii() and value.isprintable()

"""Targets: what can be put under test, and how it is named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PROXIES = "harness.proxies"
SPECIMENS = Path(__file__).parent / "specimens"
INNOCENTS = Path(__file__).parent / "innocents"


class TargetError(ValueError):
    """A `--target` that names nothing."""


@dataclass(frozen=True, slots=True)
class Target:
    """A proxy under test: an app that we host. `name` is what people typed, `app` is MODULE_OR_FILE:FACTORY."""

    name: str
    app: str
    version: str = ""


def parse_target(text: str) -> Target:
    """Read a `--target`. Raises TargetError."""
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
        f"'specimen:NAME' (a proxy that is broken on purpose), or 'innocent:NAME' (an odd one that is not)"
    )


def specimen_names() -> list[str]:
    """The proxies that are broken on purpose, by name."""
    return _names(SPECIMENS)


def innocent_names() -> list[str]:
    """The proxies with odd but correct habits, by name."""
    return _names(INNOCENTS)


def _names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.py") if not path.name.startswith("_"))

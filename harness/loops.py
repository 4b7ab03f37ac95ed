"""Which event loop runs at which station: upstream, target, client. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Loop = Literal["asyncio", "trio"]
LOOPS: tuple[Loop, ...] = ("asyncio", "trio")
STATIONS = ("upstream", "target", "client")


class LoopsError(ValueError):
    """A `--loops` that says no pairing."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """One loop for each station. `target` is None for a target that is not ours to host."""

    upstream: Loop
    target: Loop | None
    client: Loop

    @property
    def without_target(self) -> Pairing:
        """The same, for a target that is not ours to host."""
        return Pairing(self.upstream, None, self.client)

    def __str__(self) -> str:
        return ",".join(f"{name}={loop}" for name, loop in self.to_json().items() if loop)

    def to_json(self) -> dict[str, str | None]:
        return {"upstream": self.upstream, "target": self.target, "client": self.client}


def covering(loops: tuple[Loop, ...]) -> tuple[Pairing, ...]:
    """Pairings in which every two stations meet in every combination: four for two loops, not eight."""
    if len(loops) == 1:
        return (Pairing(loops[0], loops[0], loops[0]),)
    a, b = loops
    return (Pairing(a, a, a), Pairing(b, b, a), Pairing(b, a, b), Pairing(a, b, b))


def outside(pairings: Iterable[Pairing]) -> tuple[Pairing, ...]:
    """Pairings for a target that is not ours to host, with each station on each of the loops that these name.

    Its own loop is not ours to choose, so nothing is gained by having ours meet in every combination.
    """
    pairings = list(pairings)
    upstreams = list(dict.fromkeys(pairing.upstream for pairing in pairings))
    clients = list(dict.fromkeys(pairing.client for pairing in pairings))
    most = max(len(upstreams), len(clients))
    return tuple(Pairing(upstreams[i % len(upstreams)], None, clients[i % len(clients)]) for i in range(most))


def parse_loops(text: str) -> tuple[Pairing, ...]:
    """`asyncio`, `asyncio,trio`, or one exact pairing `upstream=asyncio,target=trio,client=asyncio`."""
    words = [word.strip() for word in text.split(",")]
    if any("=" in word for word in words):
        return (_exact(text, words),)
    unique = tuple(dict.fromkeys(_loop(text, word) for word in words))
    return covering(unique)


def _exact(text: str, words: list[str]) -> Pairing:
    given: dict[str, Loop] = {}
    for word in words:
        station, _, loop = word.partition("=")
        if station not in STATIONS or station in given:
            raise LoopsError(f"--loops {text!r}: name each station once, of {', '.join(STATIONS)}; found {word!r}")
        given[station] = _loop(text, loop)
    if "upstream" not in given or "client" not in given:
        raise LoopsError(f"--loops {text!r}: say upstream=…,target=…,client=… with a loop each")
    return Pairing(given["upstream"], given.get("target"), given["client"])


def _loop(text: str, word: str) -> Loop:
    if word not in LOOPS:
        raise LoopsError(f"--loops {text!r}: {word!r} is no event loop; give {' or '.join(LOOPS)}, or both")
    return word

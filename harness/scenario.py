"""Scenarios: found by path, never imported by name, so that a folder of the same name elsewhere cannot get in between.

A scenario is a file `scenarios/FAMILY/NAME.py`; FAMILY/NAME is its id. Files that begin with `_` are not scenarios.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast, get_args

from harness.preset import FEATURES, Endpoint
from harness.verdict import Judge, Kind

if TYPE_CHECKING:
    from harness.stage import Stage

Play = Callable[["Stage"], Awaitable[None]]
HOME = Path(__file__).resolve().parent.parent / "scenarios"
ANSWERS = "fidelity/answers"
"""What every claim needs unless it says otherwise: an error that is always the same keeps half of them by accident."""


class ScenarioError(Exception):
    """A scenario file that does not keep the form. Names the file, the field and the remedy."""

    def __init__(self, path: Path, field: str, remedy: str) -> None:
        super().__init__(f"scenario {path}: {field}: {remedy}")


@dataclass(frozen=True)
class Scenario:
    """One claim. `variants` maps a name to whatever `play` wants to know of it.

    A scenario that only judges has `shares`, the id of the one that stages for it.
    """

    id: str
    claim: str
    kind: Kind
    cites: tuple[str, ...]
    variants: Mapping[str, Any]
    judge: Judge
    play: Play
    shares: str = ""
    needs: tuple[str, ...] = ()
    """What must hold, in its first variant, or judging this one means nothing."""
    slow: bool = False
    alone: bool = False
    apart: bool = False
    """Whether an app needs a process of its own for it: what the process does is part of the claim."""
    inside: bool = False
    """Whether it looks at a stream that the app's own module offers, not at what goes over the wire."""
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    """Variants that are of another kind than the rest."""
    features: Mapping[str, str] = field(default_factory=dict)
    """Variants that are about a feature which a target may declare that it does not have; "" stands for all."""

    def kind_of(self, variant: str) -> Kind:
        return self.kinds.get(variant, self.kind)

    def lacking(self, variant: str, endpoint: Endpoint) -> str:
        """Why a variant is none of this target's, by its own word; "" if it is."""
        feature = self.features.get(variant) or self.features.get("")
        return endpoint.lacks(feature) if feature else ""

    @property
    def staging(self) -> str:
        """The id of the scenario whose record this one judges."""
        return self.shares or self.id


@lru_cache
def load_scenarios(home: Path = HOME) -> Mapping[str, Scenario]:
    """All scenarios by id, in the order of their ids. Raises ScenarioError."""
    found: dict[str, Scenario] = {}
    modules = {p: _load(p, home) for p in sorted(home.glob("*/*.py")) if not p.name.startswith("_")}
    by_id = {path.relative_to(home).with_suffix("").as_posix(): module for path, module in modules.items()}
    for (path, module), name in zip(modules.items(), by_id, strict=True):
        found[name] = _scenario(path, name, module, by_id)
    for path, name in zip(modules, by_id, strict=True):
        if name in _all_needs(name, found):
            raise ScenarioError(path, "NEEDS", "what it needs must not need it in turn")
    return found


def _all_needs(name: str, scenarios: Mapping[str, Scenario]) -> set[str]:
    """What a scenario needs, and what that needs."""
    needs: set[str] = set()
    new = set(scenarios[name].needs)
    while new:
        needs |= new
        new = {further for need in new for further in scenarios[need].needs} - needs
    return needs


def _load(path: Path, home: Path) -> ModuleType:
    name = "streamproof_scenarios." + ".".join(path.relative_to(home).with_suffix("").parts)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ScenarioError(path, "file", "it must be a Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _scenario(path: Path, name: str, module: ModuleType, modules: Mapping[str, ModuleType]) -> Scenario:
    def need(condition: bool, field: str, remedy: str) -> None:
        if not condition:
            raise ScenarioError(path, field, remedy)

    given = vars(module)
    shares = given.get("SHARES", "")
    need(not shares or shares in modules, "SHARES", f"{shares!r} is no scenario; name the id of one that stages")
    stager = vars(modules[shares]) if shares else given
    need(
        "SHARES" not in stager or not shares,
        "SHARES",
        f"{shares!r} stages nothing itself; name the id of one that stages",
    )
    claim, kind, cites = given.get("CLAIM"), given.get("KIND"), given.get("CITES")
    variants, play, judge = stager.get("VARIANTS"), stager.get("play"), given.get("judge")
    need(isinstance(claim, str) and claim.endswith("."), "CLAIM", "say the claim in one sentence")
    need(kind in get_args(Kind), "KIND", f"choose one of {', '.join(get_args(Kind))}")
    need(isinstance(cites, tuple) and len(cites) > 0, "CITES", "name the bugs or the standard behind it, in a tuple")
    need(isinstance(variants, Mapping) and bool(variants), "VARIANTS", "give at least one variant, name to value")
    needs = given.get("NEEDS", (ANSWERS,) if ANSWERS in modules and name != ANSWERS else ())
    need(isinstance(needs, tuple), "NEEDS", "name scenarios in a tuple")
    need(set(needs) <= set(modules) - {name}, "NEEDS", "name other scenarios that there are")
    kinds = given.get("KINDS", {})
    need(set(kinds) <= set(variants or ()), "KINDS", "name variants that there are")
    need(all(value in get_args(Kind) for value in kinds.values()), "KINDS", f"choose of {', '.join(get_args(Kind))}")
    features = {**stager.get("FEATURES", {}), **given.get("FEATURES", {})}
    need(set(features) <= {*(variants or ()), ""}, "FEATURES", "name variants that there are, or '' for all")
    need(set(features.values()) <= set(FEATURES), "FEATURES", f"choose of {', '.join(FEATURES)}")
    need(callable(play), "play", "define `async def play(stage)`, or SHARES")
    need(not shares or "play" not in given, "play", "a scenario with SHARES has no play of its own")
    need(callable(judge), "judge", "define `def judge(record)`")
    return Scenario(
        name,
        cast(str, claim),
        cast(Kind, kind),
        tuple(cites or ()),
        cast(Mapping[str, Any], variants),
        cast(Judge, judge),
        cast(Play, play),
        shares,
        needs,
        bool(given.get("SLOW", False)),
        bool(stager.get("ALONE", False)),
        bool(stager.get("APART", False)),
        bool(stager.get("INSIDE", False)),
        given.get("KINDS", {}),
        features,
    )

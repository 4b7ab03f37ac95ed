"""What is said of the proxies that we made: who is caught by which scenario, and so what each verdict must be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

from harness.factory import MAKE_STREAM
from harness.loops import Pairing
from harness.proxies import reference
from harness.run import Lab
from harness.scenario import Scenario, load_scenarios
from harness.target import innocent_names, parse_target, specimen_names
from harness.verdict import Result, Verdict

FOLDERS = {"specimen": "harness.specimens", "innocent": "harness.innocents"}


def specimens() -> list[str]:
    """The proxies with a defect, as targets."""
    return [f"specimen:{name}" for name in specimen_names()]


def innocents() -> list[str]:
    """The proxies that are odd and right, as targets."""
    return [f"innocent:{name}" for name in innocent_names()]


def module_of(target: str) -> ModuleType:
    """The module of a specimen or an innocent."""
    kind, _, name = target.partition(":")
    return import_module(f"{FOLDERS[kind]}.{name}")


def catches(target: str) -> tuple[str, ...]:
    """The scenarios that must fail on one of our own targets; on the reference none."""
    if target == "reference":
        return ()
    declared: tuple[str, ...] = module_of(target).CATCHES
    return declared


def caught_by(scenario: str) -> list[str]:
    """The specimens on which a scenario must fail, by name."""
    return [name for name in specimen_names() if scenario in catches(f"specimen:{name}")]


def half_fixes() -> dict[str, str]:
    """The specimens that are half a fix of the bug this all began with, and what each gets wrong still."""
    said = {name: getattr(module_of(f"specimen:{name}"), "HALF_FIX", "") for name in specimen_names()}
    return {name: text for name, text in said.items() if text}


def offers_a_stream(target: str) -> bool:
    """Whether the module of one of our own targets has a stream beside its factory."""
    return hasattr(reference if target == "reference" else module_of(target), MAKE_STREAM)


def declared(target: str, scenario: str) -> Verdict:
    """What the verdict must be."""
    needs = load_scenarios()[scenario].needs
    if any(declared(target, need) != "pass" for need in needs):
        return "blocked"
    if load_scenarios()[scenario].inside and not offers_a_stream(target):
        return "skipped"
    return "fail" if scenario in catches(target) else "pass"


@dataclass(frozen=True, slots=True)
class Cell:
    """One verdict to be reached on one of our own targets."""

    target: str
    scenario: str
    variant: str
    pairing: Pairing

    def __str__(self) -> str:
        return f"{self.target} {self.scenario}[{self.variant}] {self.pairing}"

    @property
    def declared(self) -> Verdict:
        return declared(self.target, self.scenario)

    def reach(self, lab: Lab, *, fresh: bool = True) -> Result:
        """Stage it and judge it; on an app and an upstream of its own unless told otherwise."""
        scenario = load_scenarios()[self.scenario]
        record = lab.perform(scenario, self.variant, parse_target(self.target), self.pairing, fresh=fresh)
        return lab.judge(scenario, record)


def cells_of(target: str, pairings: Sequence[Pairing], *, every_variant: bool = False) -> Iterator[Cell]:
    """The verdicts that count on a target: what is blocked needs none, and what is slow only where it must fail."""
    for scenario in load_scenarios().values():
        if (scenario.slow and scenario.id not in catches(target)) or declared(target, scenario.id) in (
            "blocked",
            "skipped",
        ):
            continue
        for variant in _variants(scenario, every_variant):
            yield from (Cell(target, scenario.id, variant, pairing) for pairing in pairings)


def _variants(scenario: Scenario, every: bool) -> list[str]:
    return [v for v in list(scenario.variants)[: None if every else 1] if scenario.kind_of(v) != "observed"]

"""`streamproof explain`: a scenario, told to whoever has just seen it fail, or is about to write one like it."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from difflib import get_close_matches

from harness.account import Account, account
from harness.citation import link
from harness.scenario import Scenario, load_scenarios
from harness.usage import Commands


class ExplainError(ValueError):
    """Nothing goes by this name. The message says what does."""


def register(commands: Commands) -> None:
    """The command and its options."""
    about = "Say what scenarios claim, why, and what fails them."
    parser = commands.add_parser("explain", help="say what a scenario claims, and why", description=about)
    parser.set_defaults(command=run)
    parser.add_argument("names", nargs="+", metavar="ID", help="as in delivery/lockstep; or a family, as in delivery")


def run(args: argparse.Namespace) -> int:
    """Print what is to be said of each. Raises ExplainError."""
    names = dict.fromkeys(name for given in args.names for name in select(given, load_scenarios()))
    print("\n\n".join(text(account(name)) for name in names))
    return 0


def select(given: str, known: Collection[str]) -> list[str]:
    """The scenarios that go by a name: an id, also with a variant behind it, or a family. Raises ExplainError."""
    name = given.partition("[")[0].rstrip("/")
    if name in known:
        return [name]
    if family := [other for other in known if other.partition("/")[0] == name]:
        return family
    last = [other for other in known if other.partition("/")[2] == name]
    close = last or get_close_matches(name, known, n=3, cutoff=0.75)
    remedy = f"did you mean {' or '.join(close)}?" if close else "`streamproof list` shows them"
    raise ExplainError(f"{given!r}: there is no such scenario or family; {remedy}")


def text(told: Account) -> str:
    """A scenario as lines of text."""
    scenario = told.scenario
    rows = [
        ("claim", scenario.claim),
        *(("about", line) for line in told.about.split("\n")),
        *(("cites", f"{cite}  {link(cite)}".rstrip()) for cite in scenario.cites),
        ("variants", ", ".join(variants(scenario))),
        *((("staged by", scenario.shares),) if scenario.shares else ()),
        *(("needs", need) for need in scenario.needs),
        *((("slow", "it takes minutes, and runs only with --slow"),) if scenario.slow else ()),
        *(("waits", wait) for wait in told.waits),
        *(("hint", hint) for hint in told.hints),
        *(("catches", f"{name}: {defect}") for name, defect in told.specimens),
        *(("rerun", line) for line in rerun(told)),
    ]
    lines = [f"{scenario.id}   {scenario.kind}"]
    for (label, said), before in zip(rows, ["", *(label for label, _ in rows)], strict=False):
        lines.append(f"  {label if label != before else '':<10}{said}")
    return "\n".join(lines)


def variants(scenario: Scenario) -> list[str]:
    """Its variants, with their kind where it is another."""
    kinds = ((name, scenario.kind_of(name)) for name in scenario.variants)
    return [name if kind == scenario.kind else f"{name} ({kind})" for name, kind in kinds]


def rerun(told: Account) -> list[str]:
    """The commands that show it pass, and bite."""
    slow = " --slow" if told.scenario.slow else ""
    lines = [f"streamproof run -k '{told.first}'{slow}"]
    if told.specimens:
        lines.append(f"streamproof run --target specimen:{told.specimens[0][0]} -k '{told.first}'{slow}")
    return lines

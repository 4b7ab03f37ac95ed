"""The catalogue in the documents: every scenario, specimen and innocent, out of their own files.

`python -m harness.catalogue` writes docs/catalogue.md anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.account import Account, account, first_paragraph
from harness.citation import link
from harness.declared import catches, half_fixes, innocents, specimens
from harness.explain import variants
from harness.scenario import ANSWERS, load_scenarios

FILE = Path(__file__).resolve().parent.parent / "docs" / "catalogue.md"
COMMAND = "python -m harness.catalogue"
HEAD = f"""# Catalogue

Every claim, why it is made, and who is caught by it. Written by `{COMMAND}` from the files themselves.
`streamproof explain ID` says the same of one scenario. A `required` claim that does not hold fails a run, a `desired`
one does with `--strict`, an `observed` one never. Every claim needs `{ANSWERS}` to mean anything: where that one
fails, it is `blocked`."""


def page() -> str:
    """The whole page, in Markdown."""
    told = [account(name) for name in load_scenarios()]
    families: dict[str, list[Account]] = {}
    for one in told:
        families.setdefault(one.scenario.id.partition("/")[0], []).append(one)
    parts = [HEAD]
    for family, members in families.items():
        parts += [f"## {family}", *(_scenario(one) for one in members)]
    parts += [
        "## Specimens\n\nProxies that are broken on purpose: the faithful reference with one defect each.",
        _table(("specimen", "defect", "caught by"), map(_row, specimens())),
        "### Four half-fixes of one bug\n\nThe bug: a speech route read the whole body before it sent the first byte "
        f"of it, as {_name('specimen:reads_all')} does (BerriAI/litellm#14891). Each of these is half a fix of it, "
        "and each fails otherwise.",
        _table(("half-fix", "what it is", "fails"), map(_half_fix, half_fixes().items())),
        "## Innocents\n\nProxies with odd habits that are correct. A scenario that accuses one of them is wrong; what "
        "one gives up, by right, is no required claim.",
        _table(("innocent", "habit", "gives up"), map(_row, innocents())),
    ]
    return "\n\n".join(parts) + "\n"


def _scenario(told: Account) -> str:
    scenario = told.scenario
    notes = [
        *(f"staged by `{name}`" for name in (scenario.shares,) if name),
        *(f"needs `{need}`" for need in scenario.needs if need != ANSWERS),
        *(("takes minutes: `--slow`",) if scenario.slow else ()),
    ]
    caught = ", ".join(_name(f"specimen:{name}") for name, _ in told.specimens)
    lines = [
        f"- Variants: {', '.join(variants(scenario))}",
        f"- Cites: {', '.join(map(_cite, scenario.cites))}",
        *(f"- Waits: {'; '.join(told.waits)}" for _ in told.waits[:1]),
        *(f"- Likely cause: {hint}" for hint in told.hints),
        *(f"- Catches: {caught}" for _ in told.specimens[:1]),
    ]
    head = f"### {scenario.id}\n\n**{scenario.claim}** {scenario.kind}; {'; '.join(notes)}".rstrip("; ")
    return f"{head}.\n\n{told.about}\n\n" + "\n".join(lines)


def _cite(citation: str) -> str:
    address = link(citation)
    return f"[{citation}]({address})" if address else citation


def _name(target: str) -> str:
    kind, _, name = target.partition(":")
    return f"[{name}](../harness/{kind}s/{name}.py)"


def _row(target: str) -> tuple[str, str, str]:
    return _name(target), first_paragraph(target), ", ".join(catches(target))


def _half_fix(told: tuple[str, str]) -> tuple[str, str, str]:
    name, what = told
    return _name(f"specimen:{name}"), what, ", ".join(catches(f"specimen:{name}"))


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


if __name__ == "__main__":
    FILE.write_text(page(), encoding="utf-8")

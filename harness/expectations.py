"""Expectations: which failures of a target are known, so that a gate is red only for news. Pure.

A TOML file; a table a target, an entry a known failure, with the reason as its value. An entry is a scenario, or a
scenario and its variant, and where it fails on some loops only, the loops on which it does:

    ["litellm/model"]
    "delivery/lockstep" = "buffers the whole body (BerriAI/litellm#14891)"
    "truncation/cut_is_an_error[reset]" = "..."
    "disconnect/silent_upstream[fin] target=trio" = "..."

An entry that fails nowhere any more is stale, and that is a failure too: a gate must not keep what is not so.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.loops import LOOPS, STATIONS
from harness.verdict import Result

NAME = re.compile(r"(?P<scenario>[^\[\] ]+)(?:\[(?P<variant>[^\]]+)\])?(?: (?P<loops>\S+))?")


class ExpectationsError(ValueError):
    """An expectations file that does not keep the form. Names the file, the line and the remedy."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """One known failure, and the line of the file that says so."""

    target: str
    name: str
    scenario: str
    variant: str
    """"" for all of them."""
    loops: Mapping[str, str]
    """Station to loop; stations that are not in it may be on any."""
    line: int
    reason: str = ""

    def covers(self, result: Result) -> bool:
        return (
            (result.target, result.scenario) == (self.target, self.scenario)
            and self.variant in ("", result.variant)
            and all(result.loops.to_json()[station] == loop for station, loop in self.loops.items())
        )


@dataclass(frozen=True, slots=True)
class Stale:
    """An entry whose failure is gone: somewhere that it covers, the claim now holds."""

    expectation: Expectation
    passed: tuple[Result, ...]

    def text(self, file: str) -> str:
        """What to tell people."""
        e = self.expectation
        names = ", ".join(dict.fromkeys(f"{result.name} ({result.loops})" for result in self.passed[:3]))
        more = f" and {len(self.passed) - 3} more" if len(self.passed) > 3 else ""
        return (
            f"STALE  {file}:{e.line}: {e.target}: {e.name!r} is expected to fail, and passes: {names}{more}\n"
            f"  remedy    remove this entry, or say which variants and loops still fail"
        )


def read_expectations(text: str, file: str, known: Mapping[str, Collection[str]]) -> list[Expectation]:
    """The entries of a file. `known` has the scenarios, with their variants. Raises ExpectationsError."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ExpectationsError(f"{file}: it is not TOML: {error}") from None
    found = []
    for target, entries in data.items():
        if not isinstance(entries, dict):
            raise ExpectationsError(f'{file}:{_line(text, "", target)}: write a table a target, as in ["{target}"]')
        for name, reason in entries.items():
            line = _line(text, target, name)
            where = f"{file}:{line}: {name!r}"
            if not isinstance(reason, str):
                raise ExpectationsError(f"{where}: its value is {reason!r}; give the reason, a string")
            found.append(replace(_expectation(target, name, line, where, known), reason=reason))
    return found


def _expectation(target: str, name: str, line: int, where: str, known: Mapping[str, Collection[str]]) -> Expectation:
    match = NAME.fullmatch(name)
    if match is None:
        raise ExpectationsError(f"{where}: write SCENARIO, SCENARIO[VARIANT], or either with loops behind a space")
    scenario, variant = match["scenario"], match["variant"] or ""
    if scenario not in known:
        raise ExpectationsError(f"{where}: there is no scenario {scenario!r}; `streamproof list` shows them")
    if variant and variant not in known[scenario]:
        raise ExpectationsError(f"{where}: {scenario} has no variant {variant!r}; it has {', '.join(known[scenario])}")
    loops = dict(word.partition("=")[::2] for word in (match["loops"] or "").split(",") if word)
    if any(station not in STATIONS or loop not in LOOPS for station, loop in loops.items()):
        raise ExpectationsError(
            f"{where}: {match['loops']!r} names no loops; write them as in target=trio,client=asyncio"
        )
    return Expectation(target, name, scenario, variant, loops, line)


def _line(text: str, target: str, name: str) -> int:
    """Where an entry stands; the parser does not tell."""
    inside = not target
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("["):
            inside = _key(line) == target
        elif inside and _key(line) == name:
            return number
    return 1


def _key(line: str) -> str:
    """The key of a table's header or of an entry's first line, however it is quoted; "" where there is none."""
    heads = [line, *(f"{line[: at + 1]}0" for at, char in enumerate(line) if char == "=")]
    for head in heads:
        try:
            return next(iter(tomllib.loads(head)), "")
        except tomllib.TOMLDecodeError:
            pass
    return ""


def expected(result: Result, expectations: Iterable[Expectation]) -> Result:
    """The result; a failure that an entry covers is marked so."""
    if result.verdict != "fail" or not any(expectation.covers(result) for expectation in expectations):
        return result
    return replace(result, expected=True)


def stale(results: Sequence[Result], expectations: Iterable[Expectation]) -> list[Stale]:
    """The entries that cover something that passes."""
    found = []
    for expectation in expectations:
        passed = tuple(r for r in results if r.verdict == "pass" and r.kind != "observed" and expectation.covers(r))
        if passed:
            found.append(Stale(expectation, passed))
    return found


def write_expectations(
    results: Sequence[Result], variants: Mapping[str, Collection[str]], known: Sequence[Expectation] = ()
) -> str:
    """A file that expects just what failed here: as few entries as say it exactly.

    `variants` are those that each scenario has: it is named whole only if all of them were run. Of what is `known`
    already the reasons are kept, and the entries about what was not run.
    """
    decided = [r for r in results if r.kind != "observed" and r.verdict in ("pass", "fail")]
    reasons = {(entry.target, entry.name): entry.reason for entry in known}
    kept = [entry for entry in known if not any(entry.covers(result) for result in decided)]
    lines = ["# Known failures, for `streamproof run --expect`. Say in each value why it is so."]
    for target in dict.fromkeys([*(r.target for r in decided), *(entry.target for entry in kept)]):
        mine = [r for r in decided if r.target == target]
        entries = {entry.name: entry.reason for entry in kept if entry.target == target}
        for scenario in dict.fromkeys(r.scenario for r in mine):
            entries |= _entries(scenario, [r for r in mine if r.scenario == scenario], variants)
        if entries:
            lines += ["", f"[{_quoted(target)}]"]
            lines += [
                f"{_quoted(name)} = {_quoted(reasons.get((target, name), reason))}" for name, reason in entries.items()
            ]
    return "\n".join(lines) + "\n"


def _entries(scenario: str, results: Sequence[Result], variants: Mapping[str, Collection[str]]) -> dict[str, str]:
    """Entries for a scenario, with reasons: it whole, or by variant, or by variant and loops."""
    if all(r.verdict == "fail" for r in results) and {r.variant for r in results} >= set(variants[scenario]):
        return {scenario: _reason(results[0])}
    found = {}
    for variant in dict.fromkeys(result.variant for result in results):
        group = [result for result in results if result.variant == variant]
        failed = [result for result in group if result.verdict == "fail"]
        name = f"{scenario}[{variant}]"
        if failed and len(failed) == len(group):
            found[name] = _reason(failed[0])
        else:
            found |= {f"{name} {result.loops}": _reason(result) for result in failed}
    return found


def _reason(result: Result) -> str:
    return result.findings[0].actual if result.findings else ""


def _quoted(text: str) -> str:
    """A basic string of TOML; what is no character becomes a question mark."""
    sound = text.encode(errors="replace").decode()
    escaped = "".join(
        {'"': '\\"', "\\": "\\\\"}.get(char, char if char.isprintable() else f"\\U{ord(char):08X}") for char in sound
    )
    return f'"{escaped}"'

"""What is to be said of a scenario, out of its file and nowhere else: docstring, constants, and what its code says.

The hints are the texts that its judge gives to whatever takes a `hint`; what it waits for are the docstrings of the
stage's methods that its `play` awaits. Both are read from the source: staging it would need a proxy.
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType

from harness.declared import caught_by, module_of
from harness.scenario import Scenario, load_scenarios
from harness.stage import Stage
from harness.staged import StagedClient, StagedUpstream

STAGE = (StagedClient, StagedUpstream, Stage)


@dataclass(frozen=True)
class Account:
    """A scenario as people should be told of it."""

    scenario: Scenario
    about: str
    """Why it is as it is: the docstring, in one line a paragraph."""
    waits: tuple[str, ...]
    """What its staging waits until."""
    hints: tuple[str, ...]
    """What is likely wrong with a proxy on which it fails."""
    specimens: tuple[tuple[str, str], ...]
    """Who must fail, and by which defect."""

    @property
    def first(self) -> str:
        """Its first variant, as one selects it."""
        return f"{self.scenario.id}[{next(iter(self.scenario.variants))}]"


def account(name: str) -> Account:
    """All that is to be said of the scenario with this id."""
    scenario = load_scenarios()[name]
    judging = sys.modules[scenario.judge.__module__]
    return Account(
        scenario,
        paragraphs(judging),
        tuple(dict.fromkeys(_waits(scenario.play))),
        tuple(dict.fromkeys(_hints(judging))),
        tuple((specimen, first_paragraph(f"specimen:{specimen}")) for specimen in caught_by(name)),
    )


def paragraphs(module: ModuleType) -> str:
    """Its docstring, unwrapped."""
    return "\n".join(" ".join(part.split()) for part in (inspect.getdoc(module) or "").split("\n\n"))


def first_paragraph(target: str) -> str:
    """What a specimen or an innocent says of itself."""
    return paragraphs(module_of(target)).split("\n")[0]


def _waits(play: Callable[..., object]) -> Iterator[str]:
    """In the order of the code; what `play` leaves to another function of ours, that one waits for."""
    inside = vars(sys.modules[play.__module__])
    for node in _in_order(textwrap.dedent(inspect.getsource(play))):
        if isinstance(node, ast.Await) and isinstance(node.value, ast.Call):
            called = node.value.func
            if isinstance(called, ast.Attribute) and (said := _waiting(called.attr)):
                yield said
            elif isinstance(called, ast.Name) and inspect.iscoroutinefunction(inside.get(called.id)):
                yield from _waits(inside[called.id])


def _waiting(method: str) -> str:
    """What a method of the stage waits for, in its docstring's first sentence; "" if it does not wait."""
    for kind in STAGE:
        said = " ".join((inspect.getdoc(getattr(kind, method, None)) or "").split())
        if said.startswith("Wait "):
            return said.removeprefix("Wait ").partition(". ")[0].rstrip(".")
    return ""


def _hints(module: ModuleType) -> Iterator[str]:
    nodes = _in_order(inspect.getsource(module))
    named = {
        target.id: node.value
        for node in nodes
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in nodes:
        if isinstance(node, ast.Call) and (given := _given(node, module)) is not None:
            yield from filter(None, _texts(given, named))


def _given(call: ast.Call, module: ModuleType) -> ast.expr | None:
    """The argument that a call gives for the parameter `hint`, if what is called has one."""
    function = getattr(module, call.func.id, None) if isinstance(call.func, ast.Name) else None
    if not callable(function):
        return None
    try:
        parameters = list(inspect.signature(function).parameters)
    except ValueError:  # a builtin
        return None
    if "hint" not in parameters:
        return None
    place = parameters.index("hint")
    by_name = next((keyword.value for keyword in call.keywords if keyword.arg == "hint"), None)
    return call.args[place] if place < len(call.args) else by_name


def _texts(node: ast.expr, named: dict[str, ast.expr]) -> Iterator[str]:
    """The texts that an expression may come to."""
    match node:
        case ast.Constant(value=str() as text):
            yield text
        case ast.IfExp(body=one, orelse=other):
            yield from _texts(one, named)
            yield from _texts(other, named)
        case ast.BoolOp(values=values):
            for value in values:
                yield from _texts(value, named)
        case ast.Name(id=name) if name in named:
            yield from _texts(named[name], {other: value for other, value in named.items() if other != name})
        case ast.JoinedStr(values=parts):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in parts)
        case _:
            return


def _in_order(source: str) -> list[ast.AST]:
    """All nodes as they stand in the text."""
    nodes = [node for node in ast.walk(ast.parse(source)) if hasattr(node, "lineno")]
    return sorted(nodes, key=lambda node: (node.lineno, node.col_offset))  # type: ignore[attr-defined]

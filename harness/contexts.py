"""Contexts: what was opened, by whom, and how it was closed, as the ledger wrote it down. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Trouble = Literal[
    "never_entered", "never_exited", "entered_twice", "exited_twice", "wrong_task", "wrong_loop", "collected"
]
"""What can be wrong with a context; wrong_loop: exited on an event loop that did not open it; collected: exited by
garbage collection, not by anybody who wanted to."""

KEPT = 1_000


@dataclass(frozen=True, slots=True)
class Moment:
    """An entry or an exit. `place` is FILE:LINE of whoever asked for it, libraries left out; `at` in ns.

    `task` counts the ledger's tasks from 1; 0 is no task at all, as in a callback of the event loop. `loop` counts
    event loops likewise. `error` is the exception under way, or the one that came out.
    """

    at: int
    place: str
    task: int = 0
    task_name: str = ""
    loop: int = 0
    library: str = ""
    error: str = ""
    collected: bool = False

    @property
    def who(self) -> str:
        if not self.task:
            return "no task"
        return f"task {self.task}" + (f" ({self.task_name})" if self.task_name else "")

    def __str__(self) -> str:
        during = f", during {self.error}" if self.error else ""
        return f"{self.place} by {self.who}{during}"


@dataclass(frozen=True, slots=True)
class Context:
    """One context and all that happened to it. `failed` says why it could not be entered, if it could not."""

    number: int
    what: str
    made: Moment
    enters: tuple[Moment, ...] = ()
    exits: tuple[Moment, ...] = ()
    failed: str = ""
    request: str = ""
    """What was sent to open it, as far as it is at hand: the first KEPT characters."""

    @property
    def clean(self) -> bool:
        """Whether it was entered once and exited once, by the task that entered it; or could not be entered."""
        return not troubles(self)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Context:
        moments = {name: tuple(Moment(**moment) for moment in data[name]) for name in ("enters", "exits")}
        made = Moment(**data["made"])
        return cls(data["number"], data["what"], made, failed=data["failed"], request=data["request"], **moments)

    def __str__(self) -> str:
        return f"the context of {self.what}"


def troubles(context: Context) -> dict[Trouble, str]:
    """What is wrong with a context, each with what was seen; nothing if it was opened once and closed once."""
    enters, exits = context.enters, context.exits
    if not enters:
        return {} if context.failed else {"never_entered": f"{context} was made at {context.made} and never entered"}
    found: dict[Trouble, str] = {}
    entered = f"{context} was entered at {enters[0]}"
    if len(enters) > 1:
        found["entered_twice"] = f"{entered}, and again at {_and(enters[1:])}"
    if not exits:
        found["never_exited"] = f"{entered}, and never exited"
        return found
    if len(exits) > len(enters):
        found["exited_twice"] = f"{entered}, exited at {exits[0]}, and again at {_and(exits[1:])}"
    left = exits[0]
    if left.collected:
        found["collected"] = f"{entered}, and exited only by garbage collection at {left}"
    elif left.loop and left.loop != enters[0].loop:
        found["wrong_loop"] = f"{entered}, and exited at {left}, on another event loop"
    elif left.task and left.task != enters[0].task:
        found["wrong_task"] = f"{entered}, and exited at {left}"
    return found


def all_troubles(contexts: Iterable[Context]) -> list[str]:
    """What is wrong with any of them, a sentence each."""
    return [sentence for context in contexts for sentence in troubles(context).values()]


def _and(moments: Sequence[Moment]) -> str:
    return " and at ".join(map(str, moments))

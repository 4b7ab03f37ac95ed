"""A fake upstream that runs elsewhere, commanded over its control URL as if it were here.

Commands are plain requests that are waited for, so they take effect in the order in which they were given. What
happened comes in by asking again and again; a page of the journal that is to be judged is fetched whole. Its clock
may be another machine's: the offset is measured by exchanges, and its error is at most half the fastest of them.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from threading import Event as Flag
from threading import Thread
from time import monotonic_ns
from typing import Any

import httpx

from fake_upstream.control import SCHEMA
from fake_upstream.events import Event
from fake_upstream.journal import Journal
from fake_upstream.script import Script
from fake_upstream.script_json import script_to_json
from harness.hosting import StartError
from harness.loops import Loop

PAUSE = 0.02
EXCHANGES = 9
LONGEST_ANSWER = 30.0


class FarRun:
    """One armed script over there."""

    def __init__(self, upstream: FarUpstream, key: str, script: Script) -> None:
        self.key = key
        self.script = script
        self._upstream = upstream

    def release(self, gates: int | None = 1) -> None:
        """Open the next `gates` gates; None opens all."""
        self._upstream.command("POST", "/release", {"input": self.key, "gates": gates})


class FarRuns:
    def __init__(self, upstream: FarUpstream) -> None:
        self._upstream = upstream

    def arm(self, key: str, script: Script) -> FarRun:
        self._upstream.command("PUT", "/script", {"input": key, "script": script_to_json(script)})
        return FarRun(self._upstream, key, script)

    def disarm(self, key: str) -> None:
        with suppress(StartError):  # it may be gone: then so is the run
            self._upstream.command("POST", "/drop", {"input": key})


class FarJournal(Journal):
    """A copy of the journal over there. `of` asks for the page anew: entries are completed after they were noted."""

    def __init__(self, upstream: FarUpstream) -> None:
        super().__init__()
        self._upstream = upstream

    def of(self, key: str) -> tuple[Event, ...]:
        events = self._upstream.events({"input": key} if key else {})
        return tuple(event for event in events if event.key == key)

    def forget(self, key: str) -> None:
        super().forget(key)
        with suppress(StartError):
            self._upstream.command("POST", "/forget", {"input": key})


class FarUpstream:
    """Commands one over its control URL. Raises StartError where it does not answer. A context manager."""

    def __init__(self, control_url: str, token: str | None = None) -> None:
        self.control_url = control_url.rstrip("/")
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=self.control_url, headers=headers, trust_env=False, timeout=LONGEST_ANSWER)
        self.runs = FarRuns(self)
        self.journal = FarJournal(self)
        self._offset = 0
        self._done = Flag()
        self._copier = Thread(target=self._copy, name="streamproof-far-journal", daemon=True)

    def __enter__(self) -> FarUpstream:
        try:
            about = self.command("GET", "/")
            self.url = str(about["speech_url"])
            self.loop: Loop = "trio" if about["loop"] == "trio" else "asyncio"
            self._offset = self._measured_offset()
        except BaseException:
            self._http.close()
            raise
        self._copier.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._done.set()
        self._copier.join()
        self._http.close()

    @property
    def connections(self) -> int:
        """How many speech connections it has now."""
        return int(self.command("GET", "/")["connections"])

    def narrow(self, key: str, size: int) -> None:
        self.command("POST", "/narrow", {"input": key, "size": size})

    def close_idle(self) -> None:
        self.command("POST", "/close_idle", {})

    def refuse(self) -> None:
        self.command("POST", "/refuse", {})

    def accept(self) -> None:
        self.command("POST", "/accept", {})

    def command(self, method: str, path: str, data: Any = None, params: Any = None) -> dict[str, Any]:
        """One request to the control API, and its answer. Raises StartError that says what is wrong."""
        where = f"the upstream's control API at {self.control_url}"
        try:
            answer = self._http.request(method, path, json=data, params=params)
            found: dict[str, Any] = answer.json()
        except httpx.HTTPError as error:
            raise StartError(
                f"{where} does not answer: {error or type(error).__name__}; see --upstream-control"
            ) from None
        except ValueError:
            raise StartError(f"{where} is none: {method} {path} is answered {answer.status_code}, not JSON") from None
        if answer.status_code != 200:
            raise StartError(f"{where} answers {answer.status_code}: {found.get('error', found)}")
        if found.get("schema") != SCHEMA:
            raise StartError(f"{where} has schema {found.get('schema')!r}; this version speaks {SCHEMA}")
        return found

    def events(self, params: dict[str, Any]) -> list[Event]:
        """Events by input, or from a number on; their times are of our clock."""
        found = self.command("GET", "/journal", params=params)["events"]
        return [self._ours(Event.from_json(event)) for event in found]

    def _ours(self, event: Event) -> Event:
        def shifted(at: int | None) -> int | None:
            return None if at is None else at - self._offset

        return replace(event, at=event.at - self._offset, until=shifted(event.until), planned=shifted(event.planned))

    def _measured_offset(self) -> int:
        """Their clock less ours, in ns; 0 where that is as likely, as on one machine."""
        exchanges = []
        for _ in range(EXCHANGES):
            before = monotonic_ns()
            theirs = int(self.command("GET", "/")["now"])
            after = monotonic_ns()
            exchanges.append((after - before, theirs - (before + after) // 2))
        took, offset = min(exchanges)
        return 0 if abs(offset) <= took else offset

    def _copy(self) -> None:
        """Note over here what was noted over there."""
        cursor, generation = 0, None  # what is there already is nobody's here, and harmless
        while not self._done.wait(PAUSE):
            try:
                found = self.command("GET", "/journal", params={"since": cursor})
            except StartError:
                continue  # whoever waits runs out of patience, and the next command says why
            if generation not in (None, found["generation"]):
                generation, cursor = found["generation"], 0
                continue
            generation, cursor = found["generation"], found["next"]
            for event in found["events"]:
                self.journal.note(self._ours(Event.from_json(event)))

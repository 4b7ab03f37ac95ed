"""Results as JSON, schema 1. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from harness.target import Target
from harness.verdict import Result, summary

SCHEMA = 1


def document(targets: Iterable[Target], results: Iterable[Result], exit_code: int) -> dict[str, Any]:
    """The whole run. Numbers that were not measured are absent."""
    results = list(results)
    return {
        "schema": SCHEMA,
        "targets": [{"name": t.name, **({"version": t.version} if t.version else {})} for t in targets],
        "results": [result.to_json() for result in results],
        "summary": summary(results),
        "exit_code": exit_code,
    }

"""The patches of LiteLLM, as far as they can be looked at where LiteLLM is not installed."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PATCHES = Path(__file__).resolve().parent.parent / "examples" / "litellm_patches"
NAMES = ("closed_at_return", "deferred", "deferred_with_status", "eager_rechunked")


@pytest.mark.parametrize("words", [[], ["nothing", "http://upstream/v1", "1"], ["deferred"]])
def test_what_starts_them_says_which_there_are(words: list[str]) -> None:
    command = [sys.executable, str(PATCHES / "start.py"), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert f"PATCH being one of none, {', '.join(NAMES)}; found {words}" in done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_each_says_what_it_is_and_has_something_to_apply(name: str) -> None:
    module = ast.parse((PATCHES / f"{name}.py").read_text(encoding="utf-8"))
    assert ast.get_docstring(module)
    functions = {node.name: node for node in module.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert isinstance(functions["speak"], ast.AsyncFunctionDef)
    assert [argument.arg for argument in functions["speak"].args.args] == ["create"]
    assert functions["apply"].args.args == []

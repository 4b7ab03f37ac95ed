"""The arrows between packages, and what the documents promise."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parent.parent
PACKAGES = ("fake_upstream", "harness", "scenarios")
MAY_IMPORT = {
    "fake_upstream": {"fake_upstream"},
    "harness": {"fake_upstream", "harness"},
    "scenarios": {"fake_upstream", "harness"},
}
PURE = (
    *(f"fake_upstream/{name}.py" for name in ("events", "script", "script_json", "pacing", "faults", "audio")),
    *(f"fake_upstream/{name}.py" for name in ("frames", "speech", "hand_script", "utterance", "pcm", "container")),
    *(
        f"fake_upstream/{name}.py"
        for name in ("encoded", "formats", "ranges", "memo", "pyav", "sse", "sse_forms", "packed", "spoken")
    ),
    *(f"fake_upstream/{name}.py" for name in ("service", "models")),
    *(f"harness/{name}.py" for name in ("codings", "loops", "record", "deliveries", "evidence", "timeline", "verdict")),
    *(f"harness/{name}.py" for name in ("target", "preset", "preset_file", "expectations", "arrivals")),
    *(f"harness/{name}.py" for name in ("contexts", "deferred")),
    "harness/report/document.py",
)
IMPURE = {"anyio", "asyncio", "httpcore", "httpx", "hypercorn", "select", "socket", "threading", "time", "trio"}
LOCKED = "fake_upstream/memo.py"
"""It may have a lock: what it remembers depends on the question alone."""
BOTH_LOOPS = ("fake_upstream/notice.py", "harness/natives.py", "harness/servers.py")
"""The one module of a station that may name asyncio and trio; the client's names neither.

natives.py is that of the inside, where contexts are watched: tasks, and each loop's own ways to end them.
"""


def imported(path: Path) -> set[str]:
    """The modules that a file imports, whole names."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: import by the whole name"
            names |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def modules(package: str) -> list[Path]:
    return sorted((HOME / package).rglob("*.py"))


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_only_along_the_arrows(package: str) -> None:
    for path in modules(package):
        ours = {name.partition(".")[0] for name in imported(path)} & {*PACKAGES, "tests"}
        assert ours <= MAY_IMPORT[package], path


@pytest.mark.parametrize("name", PURE)
def test_pure_modules_know_no_loop_no_socket_and_no_clock(name: str) -> None:
    found = imported(HOME / name)
    assert not {module.partition(".")[0] for module in found} & (IMPURE - {"threading"} if name == LOCKED else IMPURE)
    ours = {f"{module.replace('.', '/')}.py" for module in found}
    assert {path for path in ours if (HOME / path).is_file()} <= set(PURE)


def test_judges_and_stagings_of_scenarios_know_no_loop_no_socket_and_no_clock() -> None:
    for path in modules("scenarios"):
        assert not {module.partition(".")[0] for module in imported(path)} & IMPURE, path


def test_one_module_a_station_names_both_loops() -> None:
    naming = {
        path.relative_to(HOME).as_posix()
        for package in PACKAGES
        for path in modules(package)
        if {module.partition(".")[0] for module in imported(path)} & {"asyncio", "trio"}
    }
    assert naming == set(BOTH_LOOPS)


def blocks(path: str, language: str) -> list[str]:
    text = (HOME / path).read_text()
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)


def test_ci_runs_the_test_command_of_the_readme() -> None:
    command = blocks("README.md", "sh")[1].strip()
    assert command.endswith("tox run")
    assert command in (HOME / ".ci" / "run").read_text().splitlines()


def test_the_readmes_gateway_is_the_example() -> None:
    assert (HOME / "examples" / "gateway.py").read_text().endswith(blocks("README.md", "python")[0])


def test_the_links_of_the_documents_lead_somewhere() -> None:
    for path in (HOME / "README.md", *sorted((HOME / "docs").glob("*.md"))):
        for link in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
            assert (path.parent / link).exists(), f"{path.name}: {link}"


def test_what_is_no_python_is_packed_too() -> None:
    """A preset that is not in the wheel is a target that only we have."""
    packed = tomllib.loads((HOME / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    for package in PACKAGES:
        others = {path for path in (HOME / package).rglob("*.*") if path.suffix not in (".py", ".pyc")}
        assert others == {path for glob in packed.get(package, []) for path in (HOME / package).glob(glob)}

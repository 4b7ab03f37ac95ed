"""Environments for programs from packages: made once, whole or not at all. The packages are made here: no network."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from zipfile import ZipFile

import pytest
from commands import COMMAND, GUARD, environment, run
from hosted import gone, until

from harness import install as installing
from harness.hosting import MissingError, StartError
from harness.install import MARKER, cache_folder, environment_of, install, installed_version, is_installed
from harness.preset import Install, Preset

OVEN = Preset("oven", ("{bin}/oven",), version="1.0", install=Install(("oven=={version}", "yeast")))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder that is not there yet."""
    folder = tmp_path / "cache" / "deep"
    monkeypatch.setenv("STREAMPROOF_CACHE", str(folder))
    return folder


def wheel(folder: Path, code: str = "def main(): print('warm')") -> Path:
    """A package with a command, as small as it can be."""
    info = "oven-1.0.dist-info"
    files = {
        "oven.py": code,
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: oven\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\noven = oven:main\n",
    }
    path = folder / "oven-1.0-py3-none-any.whl"
    with ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, dedent(text))
        archive.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD")))
    return path


def of_file(path: Path | str) -> Preset:
    return replace(OVEN, install=Install((str(path),)))


class Pretended:
    """Instead of an environment and of pip: notes what would be run, makes the folder, and fails if it is told to."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error
        self.commands: list[list[str]] = []

    def __call__(self, command: list[str], lock: int, progress: installing.Progress) -> None:
        self.commands.append(command)
        if "venv" in command:
            Path(command[-1], "bin").mkdir(parents=True)
        elif self.error:
            raise self.error


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> Pretended:
    pretended = Pretended()
    monkeypatch.setattr(installing, "_run", pretended)
    return pretended


def left(cache: Path) -> list[str]:
    """What is in the cache besides locks."""
    return [path.name for path in cache.iterdir() if path.suffix != ".lock"] if cache.is_dir() else []


def test_a_package_is_installed_once_by_whoever_comes_first_and_can_be_started(cache: Path, tmp_path: Path) -> None:
    """Two at once: the second waits for the first and finds its work done. What was left half-made is cleared away."""
    subject = of_file(wheel(tmp_path))
    home = environment_of(subject)
    (home / "lib").mkdir(parents=True)
    (home / "lib" / "leftover").touch()
    assert not is_installed(subject)
    said: list[str] = []
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: install(subject, said.append), range(2))
    assert first == second == home / "bin"
    assert is_installed(subject)
    assert (home / MARKER).read_text() == f"{tmp_path}/oven-1.0-py3-none-any.whl\n"
    assert not (home / "lib" / "leftover").exists()
    assert said.count(f"making an environment for {tmp_path}/oven-1.0-py3-none-any.whl") == 1
    assert sum(line.startswith("Successfully installed") for line in said) == 1
    done = subprocess.run([home / "bin" / "oven"], capture_output=True, text=True, check=True, timeout=GUARD)
    assert done.stdout == "warm\n"
    said.clear()
    assert install(subject, said.append) == home / "bin"
    assert said == []


def test_who_must_wait_says_so(pretended: Pretended) -> None:
    home = environment_of(OVEN)
    home.parent.mkdir(parents=True)
    waiting = threading.Event()

    def hears(line: str) -> None:
        if "waiting" in line:
            assert line == "waiting for another streamproof that installs the same"
            waiting.set()

    with ThreadPoolExecutor(1) as pool:
        with home.with_name(home.name + ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            performing = pool.submit(install, OVEN, hears)
            assert waiting.wait(GUARD)
            assert pretended.commands == []
        assert performing.result(GUARD) == home / "bin"


def test_what_is_run_is_isolated_and_the_version_is_filled_in(pretended: Pretended) -> None:
    """What PYTHONPATH names would count as installed."""
    install(OVEN)
    venv, pip = pretended.commands
    home = environment_of(OVEN)
    assert venv == [sys.executable, "-I", "-m", "venv", str(home)]
    assert pip[:4] == [str(home / "bin" / "python"), "-I", "-m", "pip"]
    assert pip[-2:] == ["oven==1.0", "yeast"]


@pytest.mark.parametrize(
    ("last", "told"),
    [
        ("ERROR: cold", ["ERROR: cold"]),
        ("it is cold", [*(f"  line {n}" for n in range(5, 12)), "it is cold"]),
        ("ERROR: " + 400 * "x", ["ERROR: " + 293 * "x"]),
    ],
)
def test_a_command_that_fails_is_told_with_its_errors_or_its_last_lines(last: str, told: list[str]) -> None:
    """Without empty ones and pip's warnings; all of them are told as they come."""
    code = f"print('WARNING: old'); [print(f'  line {{n}}\\n') for n in range(12)]; raise SystemExit({last!r})"
    said: list[str] = []
    with pytest.raises(StartError) as error, Path(os.devnull).open() as lock:
        installing._run([sys.executable, "-u", "-c", code], lock.fileno(), said.append)
    assert str(error.value).splitlines() == ["the installation failed. It printed last:", *told]
    assert said[0] == "WARNING: old"
    assert said[1] == "line 0"


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "cannot be installed in {home}: No space left on device; set STREAMPROOF_CACHE to go elsewhere",
        ),
        (StartError("the installation failed."), "the installation failed."),
    ],
)
def test_whatever_goes_wrong_nothing_is_left(cache: Path, pretended: Pretended, error: Exception, says: str) -> None:
    pretended.error = error
    with pytest.raises(StartError) as raised:
        install(OVEN)
    assert str(raised.value) == says.format(home=environment_of(OVEN))
    assert left(cache) == []
    pretended.error = None
    assert install(OVEN) == environment_of(OVEN) / "bin", "and the next one is not hindered"


def test_an_interruption_leaves_nothing(cache: Path, pretended: Pretended) -> None:
    pretended.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        install(OVEN)
    assert left(cache) == []


def test_a_full_disk_at_the_very_end_leaves_nothing(
    cache: Path, pretended: Pretended, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The marker is written last; /dev/full has room for nothing."""
    monkeypatch.setattr(installing, "MARKER", "/dev/full")
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    monkeypatch.setattr(Path, "exists", lambda self: False)
    with pytest.raises(StartError, match="No space left on device; set STREAMPROOF_CACHE to go elsewhere"):
        install(OVEN)
    assert left(cache) == []


def test_a_cache_that_cannot_be_written_is_told_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("STREAMPROOF_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(StartError) as error:
        install(OVEN)
    assert str(error.value) == (
        f"cannot be installed in {environment_of(OVEN)}: Not a directory; set STREAMPROOF_CACHE to go elsewhere"
    )


def test_where_the_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder() == tmp_path / "cache" / "deep"
    monkeypatch.delenv("STREAMPROOF_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder() == Path("/xdg/streamproof")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", "/home/baker")
    assert cache_folder() == Path("/home/baker/.cache/streamproof")


def test_another_version_other_packages_or_another_python_is_another_folder(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = environment_of(OVEN)
    assert home == environment_of(replace(OVEN, command=("x",), name="stove"))
    assert home.name.startswith("oven-1.0-")
    assert home.name.endswith(f"-py{sys.version_info.major}.{sys.version_info.minor}")
    others = [
        replace(OVEN, version="1.1"),
        replace(OVEN, install=Install(("oven=={version}", "flour"))),
        replace(OVEN, version="a/b"),
        replace(OVEN, install=Install(("../../oven",))),
    ]
    homes = {home, *map(environment_of, others)}
    monkeypatch.setattr(sys, "version_info", (3, 99, 0, "final", 0))
    monkeypatch.setattr(installing.sys, "version_info", type("V", (), {"major": 3, "minor": 99}))
    homes.add(environment_of(OVEN))
    assert len(homes) == 6
    assert {folder.parent for folder in homes} == {cache}


def test_a_program_of_the_machine_is_looked_for_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = Preset("oven", ("oven",), install=Install(binary="oven", hint="buy one"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not is_installed(subject)
    with pytest.raises(MissingError) as error:
        install(subject)
    assert str(error.value) == "there is no program 'oven' on PATH; buy one"
    with pytest.raises(MissingError) as error:
        install(replace(subject, install=Install(binary="oven")))
    assert str(error.value) == "there is no program 'oven' on PATH"
    (tmp_path / "oven").write_text("#!/bin/sh\n")
    (tmp_path / "oven").chmod(0o755)
    assert is_installed(subject)
    assert install(subject) is None


@pytest.mark.parametrize(
    ("code", "version"),
    [
        ("import sys; print('oven/1.22.1 (warm)', file=sys.stderr)", "1.22.1"),
        ("print('oven 7')", ""),
        ("raise SystemExit(3)", ""),
    ],
)
def test_the_version_of_a_program_of_the_machine(code: str, version: str) -> None:
    found = Install(binary=sys.executable, version_command=(sys.executable, "-c", code))
    assert installed_version(Preset("oven", ("oven",), install=found)) == version


def test_the_version_that_nobody_knows_or_that_was_chosen() -> None:
    assert installed_version(OVEN) == "1.0"
    gone_missing = Install(binary="no-such-oven", version_command=("no-such-oven", "-v"))
    assert installed_version(Preset("oven", ("oven",), install=gone_missing)) == ""
    assert installed_version(Preset("oven", ("oven",), install=Install(binary=sys.executable))) == ""
    vanished = Install(binary=sys.executable, version_command=("no-such-oven", "-v"))
    assert installed_version(Preset("oven", ("oven",), install=vanished)) == ""


@pytest.fixture
def never_answers() -> Iterator[tuple[str, threading.Event]]:
    """The URL of a wheel that is never sent, and when somebody has asked for it."""
    asked = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                asked.set()
                connection.recv(1)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/oven-1.0-py3-none-any.whl", asked
    thread.join(GUARD)


def test_ctrl_c_in_the_middle_of_an_installation_leaves_nothing(
    cache: Path, tmp_path: Path, never_answers: tuple[str, threading.Event]
) -> None:
    """pip waits for a package; it is gone afterwards, and so is what it had made."""
    url, asked = never_answers
    target = tmp_path / "oven.toml"
    target.write_text(f"install.pip = ['{url}']\nstart.command = ['{{bin}}/oven', '{{port}}']\n")
    with subprocess.Popen(
        [*COMMAND, "run", "--target", str(target), "-k", "one_request"],
        cwd=tmp_path,
        env=environment(no_proxy="127.0.0.1", NO_PROXY="127.0.0.1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert asked.wait(GUARD)
            mine = [pid for pid in processes() if str(cache) in command_of(pid)]
            assert mine, "pip runs"
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=GUARD)
        finally:
            process.kill()
    assert process.returncode == 130, out + err
    assert "Traceback" not in out + err
    assert f"making an environment for {url}\n" in out
    assert "clearing away what was not finished\n" in out
    assert left(cache) == []
    for pid in mine:
        until(lambda pid=pid: gone(pid), "pip is gone")  # type: ignore[misc]


def processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").glob("[0-9]*")]


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def test_a_run_whose_target_cannot_be_installed_could_not_be_judged_and_says_why(cache: Path, tmp_path: Path) -> None:
    """In pip's own words; tried once, not for each verdict."""
    target, package = tmp_path / "oven.toml", tmp_path / "oven-1.0-py3-none-any.whl"
    package.write_bytes(b"this is no wheel")
    target.write_text(f"install.pip = ['{package}']\nstart.command = ['{{bin}}/oven', '{{port}}']\n")
    done, report = run(tmp_path, "--target", target, "-k", "one_request or body_arrives[1]")
    assert done.returncode == report["exit_code"] == 3
    assert report["summary"]["unsound"] == len(report["results"]) > 2
    assert done.stdout.count("making an environment") == 1
    assert "  the target did not start: the installation failed. It printed last:\n" in done.stdout
    assert f"  ERROR: Wheel 'oven' located at {package} is invalid.\n" in done.stdout
    assert left(cache) == []
    assert os.listdir(cache) != [], "but the lock, which nobody may take away"

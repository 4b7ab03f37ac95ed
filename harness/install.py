"""Programs from packages: an environment of its own for each, made on first use, whole or not at all.

They stand in `$STREAMPROOF_CACHE`, else in `streamproof` below `$XDG_CACHE_HOME` or `~/.cache`. A marker file is
written last, so that what was interrupted is never taken for an environment, and is cleared away by the next use.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from harness.hosting import MissingError, StartError
from harness.preset import Preset, filled

NAME = re.compile(r"^[A-Za-z0-9._-]*")
"""A package's name, at the beginning of what pip is told."""
MARKER = "streamproof-complete"
LAST_LINES = 8
LONGEST_LINE = 300
Progress = Callable[[str], object]


def cache_folder() -> Path:
    """Where environments stand."""
    if given := os.environ.get("STREAMPROOF_CACHE"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "streamproof"


def environment_of(preset: Preset) -> Path:
    """The folder of a preset's environment, made or not; presets of the same packages share it, Pythons do not."""
    packages = _packages(preset)
    digest = sha256("\n".join(packages).encode()).hexdigest()[:8]
    name = re.sub(r"[^A-Za-z0-9._-]", "-", f"{NAME.findall(packages[0])[0]}-{preset.version}".strip(".-"))
    return cache_folder() / f"{name}-{digest}-py{sys.version_info.major}.{sys.version_info.minor}"


def _packages(preset: Preset) -> list[str]:
    return [filled(word, {"version": preset.version}) for word in preset.install.pip]


def is_installed(preset: Preset) -> bool:
    """Whether it can be started now, without being installed first."""
    if preset.install.pip:
        return (environment_of(preset) / MARKER).exists()
    return shutil.which(preset.install.binary) is not None


def installed_version(preset: Preset) -> str:
    """The version that would be started; "" if nobody knows."""
    if preset.install.pip or not preset.install.version_command or not is_installed(preset):
        return preset.version
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(preset.install.version_command, capture_output=True, text=True, timeout=30, check=False)
        if found := re.search(r"\d+(\.\d+)+", done.stdout + done.stderr):
            return found[0]
    return ""


def install(preset: Preset, progress: Progress = lambda line: None) -> Path | None:
    """Have what a preset needs; its environment's bin, or None for a program that this machine has itself.

    `progress` is told what goes on. Raises MissingError for a program that is not there, StartError where an
    installation fails; nothing half-made is left, also when it is interrupted.
    """
    if not preset.install.pip:
        if not is_installed(preset):
            hint = f"; {preset.install.hint}" if preset.install.hint else ""
            raise MissingError(f"there is no program {preset.install.binary!r} on PATH{hint}")
        return None
    home = environment_of(preset)
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        with _locked(home.with_name(home.name + ".lock"), progress) as lock:
            if not (home / MARKER).exists():
                _make(preset, home, lock, progress)
    except OSError as error:
        raise StartError(
            f"cannot be installed in {home}: {error.strerror}; set STREAMPROOF_CACHE to go elsewhere"
        ) from None
    return home / "bin"


@contextmanager
def _locked(path: Path, progress: Progress) -> Iterator[int]:
    """One at a time. The lock's descriptor; the system gives the lock back once nobody has that open any more."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another streamproof that installs the same")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def _make(preset: Preset, home: Path, lock: int, progress: Progress) -> None:
    shutil.rmtree(home, ignore_errors=True)
    packages = _packages(preset)
    try:
        progress(f"making an environment for {' '.join(packages)}")
        # -I: what PYTHONPATH names would count as installed already.
        _run([sys.executable, "-I", "-m", "venv", str(home)], lock, progress)
        pip = [str(home / "bin" / "python"), "-I", "-m", "pip", "--disable-pip-version-check"]
        _run([*pip, "install", "--progress-bar", "off", *packages], lock, progress)
        (home / MARKER).write_text("\n".join(packages) + "\n")
    except BaseException:
        progress("clearing away what was not finished")
        shutil.rmtree(home, ignore_errors=True)
        raise


def _run(command: list[str], lock: int, progress: Progress) -> None:
    """Run it to its end. Raises StartError with its last lines. Interrupted, it is ended first.

    It holds the lock too: should we be killed, it works on, and nobody may clear away what it is making.
    """
    lines: list[str] = []
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        pass_fds=[lock],
    )
    try:
        assert process.stdout
        for line in process.stdout:
            lines.append(line.rstrip())
            progress(line.strip())
        code = process.wait()
    except BaseException:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    finally:
        if process.stdout:
            process.stdout.close()
    if code:
        told = [line[:LONGEST_LINE] for line in lines if line and not line.startswith("WARNING")]
        last = [line for line in told if "ERROR" in line][-LAST_LINES:] or told[-LAST_LINES:]
        raise StartError("\n".join(["the installation failed. It printed last:", *last]))

"""Ctrl-C in the middle of a run: what is known is printed and written, and no process is left behind."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from commands import COMMAND, GUARD, ONE, REFERENCE, children, environment, write
from hosted import gone, until

from harness.loops import Loop


@contextmanager
def started(folder: Path, *words: str | Path) -> Iterator[subprocess.Popen[str]]:
    """The command, under way; it is ended with the block if it has not by then."""
    with subprocess.Popen(
        [*COMMAND, "run", "--json", str(folder / "report.json"), *map(str, words)],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def interrupted(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Send it SIGINT, as Ctrl-C does, and wait for its end; its output. Its children must be gone by then."""
    pids = children(process.pid)
    assert pids, "it has a child by now"
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=GUARD)
    assert process.returncode == 130, output
    assert [pid for pid in pids if not gone(pid)] == []
    return output


HANGS = f"""
    import pathlib
    {REFERENCE}
    class Hangs(Proxy):
        async def upstream_failed(self, send, started):
            pathlib.Path("waiting").touch()
            await anyio.sleep_forever()
    build = Hangs
"""


def test_a_run_that_waits_prints_what_it_knows_and_goes(tmp_path: Path, loop: Loop) -> None:
    """The first scenario is done; in the second the client waits for an end, and would for many seconds."""
    write(tmp_path, HANGS)
    select, pairing = "one_request or (no_hang and fin)", f"upstream={loop},target={loop},client={loop}"
    with started(tmp_path, "--target", "app:gateway.py:build", "-k", select, "--loops", pairing) as process:
        until((tmp_path / "waiting").exists, "the client waits for an end")
        out, err = interrupted(process)
    assert "Traceback" not in out + err
    assert "closure/one_request" in out
    assert "1 verdict: 1 pass · 0 fail in " in out
    assert out.rstrip().endswith("interrupted; this is what was known")
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["exit_code"], report["summary"]["pass"], len(report["results"])) == (130, 1, 1)


def test_a_run_on_copies_prints_what_it_knows_and_goes(tmp_path: Path) -> None:
    write(tmp_path, HANGS)
    select = "one_request or (no_hang and fin)"
    with started(tmp_path, "--target", "app:gateway.py:build", "-k", select, "--loops", ONE, "-n", "3") as process:
        until((tmp_path / "waiting").exists, "a client waits for an end")
        out, err = interrupted(process)
    assert "Traceback" not in out + err
    assert out.rstrip().endswith("interrupted; this is what was known")


def test_copies_that_take_for_ever_to_start_can_be_interrupted(tmp_path: Path) -> None:
    """The first one started; the second never does."""
    code = (
        REFERENCE
        + """
class Once(Proxy):
    def __init__(self, url):
        super().__init__(url)
        import pathlib, time
        if pathlib.Path("first").exists():
            pathlib.Path("second").touch()
            time.sleep(1e6)
        pathlib.Path("first").touch()
build = Once
"""
    )
    write(tmp_path, code)
    with started(tmp_path, "--target", "app:gateway.py:build", "--loops", ONE, "-n", "2") as process:
        until((tmp_path / "second").exists, "a copy is being made")
        _, err = interrupted(process)
    assert "Traceback" not in err


def test_a_run_whose_target_takes_for_ever_to_start_can_be_interrupted(tmp_path: Path) -> None:
    write(tmp_path, "import time, pathlib\npathlib.Path('here').touch()\ntime.sleep(1e6)\n")
    with started(tmp_path, "--target", "app:gateway.py:build") as process:
        until((tmp_path / "here").exists, "the app is being imported")
        _, err = interrupted(process)
    assert err == "streamproof: interrupted\n"


def test_a_run_that_is_killed_leaves_no_child_either(tmp_path: Path) -> None:
    """SIGKILL cannot be caught: the child itself must see that it is alone."""
    traces = tmp_path / "traces"
    select = "one_request or (silent_upstream and reset)"
    with started(tmp_path, "--target", "specimen:deaf", "-k", select, "--loops", ONE, "--trace", traces) as process:
        until(lambda: len(list(traces.glob("*.json"))) == 1, "the first record is written")
        pids = children(process.pid)
        assert pids
        process.kill()
        process.communicate(timeout=GUARD)
    for pid in pids:
        until(lambda pid=pid: gone(pid), "the child is gone")  # type: ignore[misc]

"""Programs: started as a preset says, watched, and gone afterwards with all that they have started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest
from commands import GUARD, environment
from hosted import ask, gone, until

from harness.hosting import MissingError, StartError
from harness.preset import Install, Preset
from harness.program import Program

UPSTREAM = "http://127.0.0.1:9/v1"
SERVES = """
    import http.server, sys
    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ok")
    http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answers).serve_forever()
"""


def preset(code: str, *words: str, **fields: object) -> Preset:
    plain = Preset("program", (sys.executable, "-c", dedent(code), *words), stop_seconds=30.0)
    return replace(plain, **fields)  # type: ignore[arg-type]


@contextmanager
def running(subject: Preset, bin_folder: Path | None = None) -> Iterator[Program]:
    program = Program(subject, UPSTREAM, bin_folder)
    try:
        yield program
    finally:
        program.stop()


def printed(program: Program, what: str) -> str:
    until(lambda: what in program.output(), f"it prints {what!r}")
    return program.output()


def serves(program: Program) -> bool:
    try:
        return ask(program.url) == b"ok"
    except OSError:
        return False


def test_a_program_is_started_serves_and_is_gone_with_its_folder() -> None:
    with running(preset(SERVES, "{port}")) as program:
        until(lambda: serves(program), "it serves")
        assert program.url == f"http://127.0.0.1:{program.port}"
        assert program.folder.is_dir()
        assert (program.state(), program.died()) == ("running", False)
    assert gone(program.pid)
    assert not program.folder.exists()
    assert program.state() == "dead"
    program.stop()
    with pytest.raises(OSError, match="refused"):
        ask(program.url)


def test_places_are_filled_in_in_words_files_and_env(tmp_path: Path) -> None:
    code = "import os, sys; print(sys.argv[1:], open(sys.argv[1]).read(), os.environ['WHERE'], os.getcwd(), 'end')"
    subject = preset(
        code,
        "{dir}/conf/a.json",
        "{host}:{port}",
        "{upstream_root} {upstream_address}",
        "{bin}/x",
        files={"conf/a.json": '{"to": "{upstream}", "{other}": {version}}'},
        env={"WHERE": "{upstream}"},
        version="1.2",
    )
    with running(subject, tmp_path) as program:
        words = [
            f"{program.folder}/conf/a.json",
            f"127.0.0.1:{program.port}",
            "http://127.0.0.1:9 127.0.0.1:9",
            f"{tmp_path}/x",
        ]
        assert printed(program, "end") == (
            f'{words} {{"to": "{UPSTREAM}", "{{other}}": 1.2}} {UPSTREAM} {os.getcwd()} end'
        )


SHOWS = "import os; print(sorted(os.environ.items()), 'end')"


def test_a_clean_environment_has_a_path_and_a_home_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OURS", "secret")
    with running(preset(SHOWS, clean_env=True, env={"LC_ALL": "C", "A": "b"})) as program:
        said = printed(program, "end")
        assert f"('HOME', '{program.folder}')" in said
        assert "('A', 'b')" in said
        assert "secret" not in said
        assert {word.split("'")[1] for word in said.split("(")[1:]} == {"A", "HOME", "LC_ALL", "PATH"}


def test_any_other_environment_is_ours_and_asks_no_proxy_for_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OURS", "kept")
    monkeypatch.setenv("no_proxy", "intranet")
    with running(preset(SHOWS)) as program:
        said = printed(program, "end")
        assert "('OURS', 'kept')" in said
        assert "('no_proxy', 'intranet,127.0.0.1,localhost,::1')" in said


def test_what_it_prints_last_is_kept_also_if_it_is_killed() -> None:
    """Both streams, unbuffered; twenty lines of it."""
    code = """
        import os, sys, time
        for number in range(30):
            print("line", number, file=sys.stdout if number % 2 else sys.stderr, flush=True)
        print("last words")
        time.sleep(1e6)
    """
    with running(preset(code)) as program:
        printed(program, "last words")
        os.kill(program.pid, signal.SIGKILL)
        until(program.died, "it is dead")
        assert program.state() == "dead"
        lines = "\n".join(f"line {n}" for n in range(11, 30))
        assert program.epitaph() == (f"the target's process died (signal 9). It printed last:\n{lines}\nlast words")


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import sys; sys.exit('no oven')", "the target's process died (exit code 1). It printed last:\nno oven"),
        ("", "the target's process died (exit code 0)."),
        ("import os; os.kill(os.getpid(), 15)", "the target's process died (signal 15)."),
    ],
)
def test_how_it_died(code: str, says: str) -> None:
    with running(preset(code)) as program:
        until(program.died, "it is dead")
        assert program.epitaph() == says
        assert program.epitaph() == says, "and again"


def test_a_program_that_is_stopped_is_neither_dead_nor_running() -> None:
    with running(preset(SERVES, "{port}")) as program:
        until(lambda: serves(program), "it serves")
        os.kill(program.pid, signal.SIGSTOP)
        until(lambda: program.state() == "stopped", "it is stopped")
        assert not program.died()
        os.kill(program.pid, signal.SIGCONT)
        until(lambda: program.state() == "running", "it runs again")
    assert gone(program.pid)


def test_a_program_that_is_stopped_can_be_ended() -> None:
    with running(preset("import time; print('here'); time.sleep(1e6)", stop_seconds=0.1)) as program:
        printed(program, "here")
        os.kill(program.pid, signal.SIGSTOP)
        until(lambda: program.state() == "stopped", "it is stopped")
    assert gone(program.pid)


CLOSES = """
    import os, signal, socket, sys
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    print("up")
    signal.sigwait([signal.SIGUSR1])
    listening.close()
    print("closed")
    signal.sigwait([signal.SIGUSR1])
    os._exit(4)
"""


def test_a_program_that_closes_its_port_and_goes_has_died(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who looks at the port and at the process in the same instant sees the one gone and the other alive."""
    monkeypatch.setattr("harness.program.LAST_GASP", GUARD)
    with running(preset(CLOSES, "{port}")) as program:
        printed(program, "up")
        assert not program.died()
        os.kill(program.pid, signal.SIGUSR1)
        printed(program, "closed")
        assert program.state() == "running"
        looks = threading.Thread(target=lambda: found.append(program.died()))
        found: list[bool] = []
        looks.start()
        os.kill(program.pid, signal.SIGUSR1)
        looks.join(GUARD)
        assert found == [True]
        assert program.epitaph().startswith("the target's process died (exit code 4).")


DEAF = """
    import os, signal, subprocess, sys, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", sys.argv[1]])
    print("child", child.pid)
    time.sleep(1e6)
"""
DEAF_CHILD = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(1e6)
"""


def test_a_program_that_is_deaf_to_its_signal_is_killed_with_what_it_has_started() -> None:
    with running(preset(DEAF, DEAF_CHILD, stop_seconds=0.1)) as program:
        printed(program, "deaf")
        child = int(printed(program, "child ").partition("child ")[2].split()[0])
    assert gone(program.pid)
    until(lambda: gone(child), "its child is gone")


LEAVES_A_CHILD = """
    import subprocess, sys
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1e6)"])
    print("child", child.pid, "end")
"""


def test_what_a_program_that_ended_by_itself_has_left_behind_goes_too() -> None:
    with running(preset(LEAVES_A_CHILD)) as program:
        child = int(printed(program, "end").split()[1])
    until(lambda: gone(child), "its child is gone")


@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "SIGQUIT"])
def test_a_program_gets_the_signal_that_its_preset_names(tmp_path: Path, how: str) -> None:
    code = """
        import pathlib, signal, sys
        signal.pthread_sigmask(signal.SIG_BLOCK, [15, 2, 3])
        print("up")
        pathlib.Path(sys.argv[1]).write_text(signal.Signals(signal.sigwait([15, 2, 3])).name)
    """
    with running(preset(code, str(tmp_path / "got"), stop_signal=how)) as program:
        printed(program, "up")
    assert (tmp_path / "got").read_text() == how


@pytest.mark.parametrize(
    ("command", "reason"), [("no-such-gateway", "No such file or directory"), (os.sep, "Permission denied")]
)
def test_a_program_that_is_not_there(command: str, reason: str) -> None:
    subject = Preset("program", (command, "{port}"), install=Install(hint="ask the baker"))
    with pytest.raises(MissingError) as error:
        Program(subject, UPSTREAM)
    assert str(error.value) == f"cannot be started: {reason}: {command}; ask the baker"
    with pytest.raises(MissingError) as error:
        Program(replace(subject, install=Install()), UPSTREAM)
    assert str(error.value) == f"cannot be started: {reason}: {command}"


def test_a_scratch_folder_that_cannot_be_written_is_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.program.tempfile.tempdir", str(tmp_path))
    with pytest.raises(StartError) as error:
        Program(preset("", files={"a": "", "a/b": ""}), UPSTREAM)
    assert str(error.value) in ("cannot be started: Not a directory", "cannot be started: File exists")
    assert list(tmp_path.iterdir()) == []


def test_nothing_of_ours_is_left_open_by_programs_that_live_die_or_never_start() -> None:
    """And none of our descriptors is in the program's hands."""
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("descriptors can be counted on Linux only: there is no /proc/self/fd here")
    with running(preset("")):
        pass  # what is opened once, as the urandom device, is open now
    before = len(os.listdir("/proc/self/fd"))
    shows = "import os; print(sorted(map(int, os.listdir('/proc/self/fd')))[:-1], 'end')"
    with socket.socket() as ours, running(preset(shows)) as program:
        ours.set_inheritable(True)
        assert printed(program, "end") == "[0, 1, 2] end"
    with running(preset("raise SystemExit(3)")) as program:
        until(program.died, "it is dead")
    for _ in range(3):
        with pytest.raises(MissingError):
            Program(Preset("program", ("no-such-gateway",)), UPSTREAM)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_program_may_be_watched_from_several_threads_at_once() -> None:
    """One of them reads the guard's last word; the others must not wait for a second one."""
    with running(preset("import signal; print('up'); signal.pause()")) as program:
        printed(program, "up")
        threads = [
            threading.Thread(target=until, args=(lambda: program.state() == "dead", "it dies")) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        os.kill(program.pid, signal.SIGKILL)
        for thread in threads:
            thread.join(GUARD)
        assert not any(thread.is_alive() for thread in threads)


def test_stopping_twice_does_no_harm() -> None:
    with running(preset("")) as program:
        program.stop()
    assert program.output() == ""


HARNESS = """
    import sys, time
    from harness.preset import Preset
    from harness.program import Program
    program = Program(Preset("x", (sys.executable, "-c", sys.argv[1], sys.argv[2]), stop_seconds=0.1), "http://u/v1")
    while "deaf" not in program.output():
        time.sleep(0.01)
    print(program.folder, program.pid, program.output().split()[1], flush=True)
    time.sleep(1e6)
"""


def test_a_program_is_gone_when_the_harness_was_killed() -> None:
    """SIGKILL cannot be caught: the guard must see that it is alone. Also a deaf program, and its children."""
    harness = subprocess.Popen(
        [sys.executable, "-c", dedent(HARNESS), dedent(DEAF), DEAF_CHILD],
        env=environment(PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        text=True,
    )
    with harness:
        assert harness.stdout
        folder, *words = harness.stdout.readline().split()
        pids = [int(word) for word in words]
        assert len(pids) == 2
        assert not any(gone(pid) for pid in pids)
        harness.kill()
    for pid in pids:
        until(lambda pid=pid: gone(pid), "the program and its child are gone")  # type: ignore[misc]
    until(lambda: not Path(folder).exists(), "its folder is gone")

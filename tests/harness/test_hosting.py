"""A real child on each loop: what it tells of an app, what it serves, how it dies, and that it goes when told."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from textwrap import dedent
from urllib.parse import urlsplit

import pytest
from hosted import ANSWERS, GUARD, ask, gone, hosting, mount, until, write_app

from harness import hosting as hosting_module
from harness.hosting import Host, MissingError, StartError
from harness.loops import Loop
from harness.scenario import HOME

_shared: dict[Loop, Host] = {}


@pytest.fixture(scope="module", autouse=True)
def _stop_shared() -> Iterator[None]:
    yield
    while _shared:
        _shared.popitem()[1].stop()


@pytest.fixture
def host(loop: Loop) -> Host:
    """A host for tests that leave it as it was: a child takes a second to start."""
    if loop not in _shared:
        _shared[loop] = Host(loop)
    assert _shared[loop].state() == "running"
    return _shared[loop]


def test_an_app_is_mounted_served_and_unmounted(host: Host, tmp_path: Path) -> None:
    first, second = (mount(host, write_app(tmp_path, ANSWERS)) for _ in range(2))
    assert first != second
    assert ask(first) == ask(second) == b"ok"
    host.command(do="unmount", url=first)
    until(lambda: refuses(first), "the unmounted app is no longer served")
    assert ask(second) == b"ok"
    assert host.command(do="unmount", url=first)["number"], "and once more is no error"


def refuses(url: str) -> bool:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=GUARD).close()
    except ConnectionRefusedError:
        return True
    return False


def test_the_factory_is_given_the_upstreams_url(host: Host, tmp_path: Path) -> None:
    code = ANSWERS.replace("return app", "print('the upstream is', upstream_url)\n        return app")
    mount(host, write_app(tmp_path, code))
    assert "the upstream is http://upstream/v1" in host.output()


@pytest.mark.parametrize(
    ("line", "loops"),
    [
        ("", ["asyncio", "trio"]),
        ("build.loops = 'trio'", ["trio"]),
        ("build.loops = ('asyncio',)", ["asyncio"]),
        ("build.loops = ['trio', 'asyncio']", ["trio", "asyncio"]),
    ],
)
def test_a_factory_may_say_on_which_loops_its_app_runs(host: Host, tmp_path: Path, line: str, loops: list[str]) -> None:
    spec = write_app(tmp_path, ANSWERS + f"\n    {line}\n")
    assert host.command(do="describe", app=spec)["loops"] == loops


def test_an_app_is_found_as_a_module_of_the_working_directory(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_app(tmp_path, ANSWERS, "shop/gateway.py")
    monkeypatch.chdir(tmp_path)
    with hosting(loop) as host:
        assert ask(mount(host, "shop.gateway:build")) == b"ok"


def test_a_file_may_import_its_neighbours(host: Host, tmp_path: Path) -> None:
    write_app(tmp_path, "ANSWER = b'ok'", "neighbour.py")
    spec = write_app(
        tmp_path, "from neighbour import ANSWER\n" + ANSWERS.replace("\n    ", "\n").replace('b"ok"', "ANSWER")
    )
    assert ask(mount(host, spec)) == b"ok"


def test_folders_named_like_ours_do_not_get_in_the_way(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`python -m` would put the working directory first."""
    for package in ("harness", "fake_upstream", "scenarios"):
        write_app(tmp_path, "raise SystemExit('the wrong one')", f"{package}/__init__.py")
    spec = write_app(tmp_path, ANSWERS)
    monkeypatch.chdir(tmp_path)
    with hosting(loop) as host:
        assert ask(mount(host, spec)) == b"ok"


def test_a_file_is_executed_once_however_often_it_is_mounted(host: Host, tmp_path: Path) -> None:
    """As a module is. Many register things of which a process may have one only."""
    spec = write_app(tmp_path, f"print('executed {tmp_path}')\n" + ANSWERS.replace("\n    ", "\n"))
    host.command(do="describe", app=spec)
    mount(host, spec)
    mount(host, spec)
    assert host.output(100).splitlines().count(f"executed {tmp_path}") == 1


def test_files_of_the_same_name_are_told_apart(host: Host, tmp_path: Path) -> None:
    one = write_app(tmp_path / "one", ANSWERS.replace("ok", "11"))
    two = write_app(tmp_path / "two", ANSWERS.replace("ok", "22"))
    assert [ask(mount(host, spec)) for spec in (one, two, one)] == [b"11", b"22", b"11"]


@pytest.mark.parametrize("loops", ["uvloop", ("asyncio", "curio"), ()])
def test_a_factory_that_names_a_loop_there_is_not_is_told_so(host: Host, tmp_path: Path, loops: object) -> None:
    """Or everything would be skipped, and nobody would know."""
    spec = write_app(tmp_path, ANSWERS + f"\n    build.loops = {loops!r}\n")
    with pytest.raises(MissingError) as error:
        host.command(do="describe", app=spec)
    assert str(error.value) == f"{spec} has loops = {loops!r}; give asyncio or trio, or both"


MISSING = {
    "file": ("{folder}/nothing.py:build", "there is no file {folder}/nothing.py"),
    "folder": ("{folder}/folder.py:build", "there is no file {folder}/folder.py"),
    "module": (
        "no_such_module:build",
        "there is no module no_such_module here; a file is named by its path, as in ./no_such_module.py",
    ),
    "submodule": (
        "os.no_such:build",
        "there is no module os.no_such here; a file is named by its path, as in ./os.no_such.py",
    ),
    "factory": ("{folder}/gateway.py:bild", "{folder}/gateway.py has no callable 'bild'; it has app, build"),
    "not callable": ("{folder}/gateway.py:NUMBER", "{folder}/gateway.py has no callable 'NUMBER'; it has app, build"),
    "nothing callable": (
        "{folder}/empty.py:build",
        "{folder}/empty.py has no callable 'build'; it has nothing callable",
    ),
}


@pytest.mark.parametrize("case", MISSING)
def test_what_is_not_there_is_said_to_be_missing_with_what_there_is(host: Host, tmp_path: Path, case: str) -> None:
    """A mistake of whoever named it: bad usage, not a target that does not start."""
    spec, says = (text.format(folder=tmp_path) for text in MISSING[case])
    (tmp_path / "folder.py").mkdir()
    write_app(tmp_path, "NUMBER = 5", "empty.py")
    write_app(tmp_path, "NUMBER = 5\n" + ANSWERS.replace("\n    ", "\n"))
    for command in ("describe", "mount"):
        with pytest.raises(MissingError) as error:
            host.command(do=command, app=spec, upstream="http://upstream/v1")
        assert str(error.value) == says
    assert host.state() == "running"


RAISING = {
    "at import": "raise RuntimeError('no bread today')",
    "by what it imports": "import no_such_library_for_bread",
    "by its syntax": "def build(upstream_url: 'no bread today'",
    "in the factory": "def build(upstream_url):\n    raise RuntimeError('no bread today')",
    "by leaving": "import sys\nsys.exit('no bread today')",
    "by leaving in the factory": "import sys\ndef build(upstream_url):\n    sys.exit('no bread today')",
    "by its lifespan": """
        def build(upstream_url):
            async def app(scope, receive, send):
                if scope["type"] == "lifespan":
                    await receive()
                    await send({"type": "lifespan.startup.failed", "message": "no bread today"})
            return app
        """,
}


@pytest.mark.parametrize("case", RAISING)
def test_an_app_that_raises_at_start_is_quoted(host: Host, tmp_path: Path, case: str) -> None:
    spec = write_app(tmp_path, RAISING[case])
    with pytest.raises(StartError) as error:
        mount(host, spec)
    text = str(error.value)
    assert text.startswith("the app raised at start:\n")
    assert "bread" in text
    assert not isinstance(error.value, MissingError)
    assert host.state() == "running"
    assert ask(mount(host, write_app(tmp_path, ANSWERS, "good.py"))) == b"ok", "and the next one is served"


def test_an_app_that_raises_at_start_may_do_better_the_next_time(host: Host, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    code = f"import pathlib\nif not pathlib.Path({str(flag)!r}).exists():\n    raise RuntimeError('not yet')\n"
    spec = write_app(tmp_path, code + ANSWERS.replace("\n    ", "\n"))
    with pytest.raises(StartError, match="not yet"):
        mount(host, spec)
    flag.touch()
    assert ask(mount(host, spec)) == b"ok"


def test_an_app_that_ends_the_process_at_start_has_its_epitaph(loop: Loop, tmp_path: Path) -> None:
    spec = write_app(tmp_path, "import os\nprint('so much for this', flush=True)\nos._exit(7)")
    with hosting(loop) as host:
        with pytest.raises(StartError) as error:
            mount(host, spec)
        assert str(error.value) == "the target's process died (exit code 7). It printed last:\nso much for this"
        assert host.state() == "dead"
        with pytest.raises(StartError, match="the target's process died"):
            mount(host, spec)


def test_an_app_that_takes_for_ever_to_start_is_given_up_and_ended(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its child is of no use to anybody any more: it would not even hear the next command."""
    monkeypatch.setattr(hosting_module, "LONGEST_MOUNT", 1.0)
    spec = write_app(tmp_path, "import time\nprint('waiting', flush=True)\ntime.sleep(1e6)")
    with hosting(loop) as host:
        with pytest.raises(StartError, match=r"^the target was not ready after 1 s\. It printed:\n"):
            mount(host, spec)
        assert host.state() == "dead"
        assert gone(host.process.pid)


LIFESPAN = """
    def build(upstream_url):
        state = {"started": False}
        async def app(scope, receive, send):
            if scope["type"] == "lifespan":
                await receive()
                state["started"] = True
                await send({"type": "lifespan.startup.complete"})
                await receive()
            else:
                body = b"%d" % state["started"]
                await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
                await send({"type": "http.response.body", "body": body})
        return app
"""


def test_an_app_has_started_before_it_is_asked_anything(host: Host, tmp_path: Path) -> None:
    assert ask(mount(host, write_app(tmp_path, LIFESPAN))) == b"1"


@pytest.mark.parametrize(
    "ignores", ["return", "raise RuntimeError('lifespan?')", "await receive(); return", "assert False"]
)
def test_an_app_that_knows_no_lifespan_is_served_all_the_same(host: Host, tmp_path: Path, ignores: str) -> None:
    code = ANSWERS.replace('assert scope["type"] == "http"', f'if scope["type"] != "http":\n            {ignores}')
    assert ask(mount(host, write_app(tmp_path, code))) == b"ok"


def test_what_an_app_prints_is_kept_the_last_lines_of_it(host: Host, tmp_path: Path) -> None:
    code = """
        import sys
        for n in range(50):
            print("out", n)
            print("err", n, file=sys.stderr)
        sys.stdout.buffer.write(b"\\xff\\xfe no text\\n")
    """
    with pytest.raises(MissingError):
        mount(host, write_app(tmp_path, code))
    lines = host.output().splitlines()
    assert len(lines) == 20
    assert lines[-3:] == ["out 49", "err 49", "\ufffd\ufffd no text"]
    assert host.output(2).splitlines() == ["err 49", "\ufffd\ufffd no text"]


def test_what_was_printed_is_told_from_a_mark_on_with_what_rubbish_has_to_say(host: Host, tmp_path: Path) -> None:
    """A task that failed and was forgotten complains only when it is collected."""
    code = ANSWERS.replace(
        "def build(upstream_url):",
        """class Forgotten:
        def __init__(self):
            self.me = self
        def __del__(self):
            print("forgotten", flush=True)

    def build(upstream_url):
        Forgotten()""",
    )
    mount(host, write_app(tmp_path / "first", "print('before', flush=True)\n" + dedent(ANSWERS)))
    mark = host.mark()
    mount(host, write_app(tmp_path / "second", code))
    printed = host.printed(mark).splitlines()
    assert "forgotten" in printed
    assert "before" not in printed


def test_a_child_that_was_stopped_has_printed_nothing_more(loop: Loop) -> None:
    with hosting(loop) as host:
        host.stop()
        assert (host.mark(), host.printed(0)) == (0, "")


def test_an_app_that_raises_on_a_request_harms_no_other_request(host: Host, tmp_path: Path) -> None:
    code = ANSWERS.replace("await receive()", "assert scope['path'] != '/bad', 'this one'")
    url = mount(host, write_app(tmp_path, code))
    for _ in range(3):
        with suppress(OSError, HTTPException):
            assert ask(url, "/bad") != b"ok"
        assert ask(url) == b"ok"
    assert "this one" in host.output(100)


DYING = """
    import os, signal

    def build(upstream_url):
        async def app(scope, receive, send):
            if scope["type"] != "http":
                return
            await send({{"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"99")]}})
            await send({{"type": "http.response.body", "body": b"half", "more_body": True}})
            print("last words", flush=True)
            {dies}
        return app
"""


@pytest.mark.parametrize(
    ("dies", "how"),
    [
        ("os._exit(3)", "exit code 3"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "signal 9"),
    ],
)
def test_a_process_that_dies_in_the_middle_has_an_epitaph(loop: Loop, tmp_path: Path, dies: str, how: str) -> None:
    """And whoever sees the cut and asks at once is told the truth: it was a crash."""
    with hosting(loop) as host:
        url = mount(host, write_app(tmp_path, DYING.format(dies=dies)))
        assert not host.died()
        with pytest.raises((OSError, HTTPException)):
            ask(url)
        assert host.died()
        epitaph = host.epitaph()
        assert epitaph.startswith(f"the target's process died ({how}). It printed last:\n")
        assert "last words" in epitaph
        assert host.state() == "dead"
        assert host.epitaph() == epitaph


def test_a_process_that_is_stopped_is_seen_and_goes_on_when_continued(host: Host, tmp_path: Path) -> None:
    url = mount(host, write_app(tmp_path, ANSWERS))
    assert host.state() == "running"
    host.process.send_signal(signal.SIGSTOP)
    until(lambda: host.state() == "stopped", "the process is stopped")
    host.process.send_signal(signal.SIGCONT)
    until(lambda: host.state() == "running", "the process runs")
    assert ask(url) == b"ok"


def test_commands_from_many_threads_get_their_own_answers(host: Host, tmp_path: Path) -> None:
    specs = [write_app(tmp_path, ANSWERS.replace("ok", f"{n:02}"), f"app{n}.py") for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        urls = list(pool.map(lambda spec: mount(host, spec), specs))
        assert [ask(url) for url in urls] == [b"%02d" % n for n in range(8)]


IGNORING = {
    "nothing": "",
    "a blocked loop": "import time\ndef build(upstream_url):\n    time.sleep(1e6)",
    "a busy loop": "def build(upstream_url):\n    while True: pass",
    "SIGTERM": "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)",
    "cancellation": """
        import anyio
        def build(upstream_url):
            async def app(scope, receive, send):
                with anyio.CancelScope(shield=True):
                    await anyio.sleep_forever()
            return app
        """,
    "threads": "import threading, time\nthreading.Thread(target=time.sleep, args=(1e6,)).start()",
}


@pytest.mark.parametrize(
    ("what", "on"),
    [
        ("nothing", "asyncio"),
        ("nothing", "trio"),
        ("cancellation", "asyncio"),
        ("cancellation", "trio"),
        ("a blocked loop", "asyncio"),
        ("a busy loop", "trio"),
        ("SIGTERM", "asyncio"),
        ("threads", "trio"),
    ],
)
def test_a_child_goes_when_it_is_told_whatever_it_ignores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, on: Loop
) -> None:
    monkeypatch.setattr(hosting_module, "LONGEST_MOUNT", GUARD)
    host = Host(on)
    spec = write_app(tmp_path, "print('here')\n" + IGNORING[what].replace("\n        ", "\n"))
    with ThreadPoolExecutor(1) as pool:
        mounting = pool.submit(host.command, do="mount", app=spec, upstream="http://upstream/v1")
        until(lambda: "here" in host.output(), "the app is being started")
        host.stop()
        mounting.exception(GUARD)
    assert gone(host.process.pid)


def test_a_stopped_child_goes_when_it_is_told(loop: Loop) -> None:
    host = Host(loop)
    host.process.send_signal(signal.SIGSTOP)
    until(lambda: host.state() == "stopped", "the process is stopped")
    host.stop()
    assert gone(host.process.pid)


def test_what_an_app_has_started_goes_with_it(loop: Loop, tmp_path: Path) -> None:
    code = """
        import subprocess, sys
        helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1e6)"])
        print("helper", helper.pid)
        def build(upstream_url): ...
    """
    with hosting(loop) as host:
        host.command(do="describe", app=write_app(tmp_path, code))
        helper = int(host.output().split()[1])
        assert not gone(helper)
    until(lambda: gone(helper), "the helper is gone")


def test_stopping_twice_is_stopping_once(loop: Loop) -> None:
    host = Host(loop)
    host.stop()
    host.stop()
    assert (gone(host.process.pid), host.output()) == (True, "")


PARENT = """
import os, signal, sys
from threading import Thread
from harness.hosting import Host
host = Host({loop!r})
command = dict(do="mount", app={spec!r}, upstream="http://upstream/v1")
Thread(target=host.command, kwargs=command, daemon=True).start()
while "here" not in host.output():
    pass
print(host.process.pid, flush=True)
sys.stdin.readline()
{dies}
"""


KILLED = "os.kill(os.getpid(), signal.SIGKILL)"


@pytest.mark.parametrize(
    ("what", "dies", "on"),
    [
        ("nothing", KILLED, "asyncio"),
        ("nothing", KILLED, "trio"),
        ("nothing", "os._exit(1)", "asyncio"),
        ("nothing", "pass", "trio"),
        ("cancellation", KILLED, "asyncio"),
        ("a blocked loop", KILLED, "asyncio"),
        ("a busy loop", KILLED, "trio"),
    ],
)
def test_a_child_never_outlives_its_harness(tmp_path: Path, what: str, dies: str, on: Loop) -> None:
    """However the harness ends, and whatever the app does just then."""
    spec = write_app(tmp_path, "print('here')\n" + IGNORING[what].replace("\n        ", "\n"))
    code = PARENT.format(loop=on, spec=spec, dies=dies)
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(HOME.parent)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert not gone(child)
        parent.communicate("\n", timeout=GUARD)
    until(lambda: gone(child), "the child is gone too")


def test_under_uvicorn_apps_start_serve_and_fail_as_well(tmp_path: Path) -> None:
    pytest.importorskip("uvicorn")
    host = Host("asyncio", "uvicorn")
    try:
        assert ask(mount(host, write_app(tmp_path, ANSWERS))) == b"ok"
        assert ask(mount(host, write_app(tmp_path, LIFESPAN, "lifespan.py"))) == b"1"
        with pytest.raises(StartError, match="no bread today"):
            mount(host, write_app(tmp_path, RAISING["in the factory"], "factory.py"))
        with pytest.raises(StartError, match="lifespan"):
            mount(host, write_app(tmp_path, RAISING["by its lifespan"], "failing.py"))
        assert "no bread today" in host.output(), "uvicorn says it itself"
        assert ask(mount(host, write_app(tmp_path, ANSWERS, "again.py"))) == b"ok"
        assert host.state() == "running"
    finally:
        host.stop()
    assert gone(host.process.pid)

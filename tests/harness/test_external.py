"""Targets that are programs or URLs, through the command: judged as they are, or told why they cannot be."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from commands import GUARD, ONE, run, streamproof, verdicts, write
from gateways import by_hand, command, free_port, gateway
from hosted import gone, until
from test_interrupt import HANGS, started

EXTERNAL = "upstream=asyncio,client=asyncio"
SELECT = "one_request or (cut_is_an_error and reset)"
PID = "import os, pathlib\npathlib.Path(__file__).with_name('pids').open('a').write(f'{os.getpid()}\\n')\n"


def pids(folder: Path) -> list[int]:
    """The processes that such a gateway has been."""
    path = folder / "pids"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def nobody_is_left(folder: Path) -> None:
    assert pids(folder)
    assert [pid for pid in pids(folder) if not gone(pid)] == []


def test_a_command_is_started_judged_on_our_loops_and_ended(tmp_path: Path) -> None:
    target = command(gateway(tmp_path, PID + "build = Proxy"))
    done, report = run(tmp_path, "--target", target, "-k", SELECT, "--trace", "traces")
    assert done.returncode == report["exit_code"] == 0, done.stdout + done.stderr
    assert [loops for _, loops, _ in verdicts(report)] == ["asyncio/None/asyncio", "trio/None/trio"] * 2
    assert {verdict for *_, verdict in verdicts(report)} == {"pass"}
    assert report["targets"] == [{"name": target}]
    assert report["results"][0]["loops"] == {"upstream": "asyncio", "target": None, "client": "asyncio"}
    assert f"\nstarting {target}\nwaiting until {target} is ready\n" in "\n" + done.stdout
    traces = [json.loads(path.read_text()) for path in (tmp_path / "traces").glob("*.json")]
    assert {trace["environment"]["server"] for trace in traces} == {""}
    nobody_is_left(tmp_path)
    assert len(pids(tmp_path)) == 2, "one for each upstream"
    judged = streamproof("judge", tmp_path / "traces")
    assert judged.returncode == 0, judged.stderr
    assert " fail" not in judged.stdout.replace("0 fail", "")


def test_a_command_that_breaks_a_claim_fails_with_a_line_that_runs_it_again(tmp_path: Path) -> None:
    code = PID + (
        "class Masks(Proxy):\n"
        "    async def upstream_failed(self, send, started):\n"
        "        await finish(send)\n"
        "build = Masks"
    )
    target = command(gateway(tmp_path, code))
    done, report = run(tmp_path, "--target", target, "--voice", "nova", "-k", SELECT, "--loops", "trio")
    assert done.returncode == report["exit_code"] == 1
    assert [verdict for *_, verdict in verdicts(report)] == ["pass", "fail"]
    assert (
        "  rerun     streamproof run --target "
        f"{shlex.quote(target)} -k 'truncation/cut_is_an_error[reset]' --loops upstream=trio,client=trio --voice nova\n"
    ) in done.stdout
    nobody_is_left(tmp_path)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (
            "sys.exit('the oven is cold')",
            "the target's process died (exit code 1). It printed last:\n  the oven is cold\n",
        ),
        ("import os; os.kill(os.getpid(), 9)", "the target's process died (signal 9).\n"),
    ],
)
def test_a_program_that_ends_at_once_is_told_with_its_last_words(tmp_path: Path, code: str, says: str) -> None:
    target = command(gateway(tmp_path, PID + code))
    done, report = run(tmp_path, "--target", target, "-k", SELECT, "--loops", EXTERNAL)
    assert done.returncode == report["exit_code"] == 3
    assert [verdict for *_, verdict in verdicts(report)] == ["unsound"] * 2
    assert f"  the target did not start: {says}" in done.stdout
    assert len(pids(tmp_path)) == 1, "tried once"
    nobody_is_left(tmp_path)


def test_a_missing_program_is_told(tmp_path: Path) -> None:
    done, report = run(tmp_path, "--target", "cmd:no-such-gateway {port}", "-k", SELECT, "--loops", EXTERNAL)
    assert done.returncode == report["exit_code"] == 3
    assert "  the target did not start: there is no program 'no-such-gateway' on PATH\n" in done.stdout


def preset(folder: Path, path: Path, more: str = "", seconds: float = 60) -> Path:
    """A preset's file that starts the gateway."""
    file = folder / "oven.toml"
    file.write_text(
        f"install.binary = {json.dumps(sys.executable)}\nready.seconds = {seconds}\nstop.seconds = 1\n"
        f"start.command = {json.dumps([sys.executable, str(path), '{port}', '{upstream}'])}\n{more}\n"
    )
    return file


NEVER = PID + ("import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('heating')\ntime.sleep(1e6)")


def test_a_program_that_never_gets_ready_is_told_with_what_came_instead(tmp_path: Path) -> None:
    """It is deaf to SIGTERM as well, and gone all the same."""
    file = preset(tmp_path, gateway(tmp_path, NEVER), seconds=1)
    done, report = run(tmp_path, "--target", file, "-k", SELECT, "--loops", EXTERNAL)
    assert done.returncode == report["exit_code"] == 3
    assert re.search(
        r"  the target did not start: the target was not ready after 1 s: POST http://127\.0\.0\.1:\d+"
        r"/v1/audio/speech: \[Errno 111\] Connection refused\. It printed last:\n  heating\n",
        done.stdout,
    ), done.stdout
    nobody_is_left(tmp_path)


def test_a_ready_path_is_asked_first(tmp_path: Path) -> None:
    """The fake upstream is healthy, and so is what forwards to it."""
    file = preset(tmp_path, gateway(tmp_path, PID + "build = Proxy"), "ready.path = '/health'")
    done, _ = run(tmp_path, "--target", file, "-k", "one_request", "--loops", EXTERNAL)
    assert done.returncode == 0, done.stdout
    nobody_is_left(tmp_path)


INSISTS = (
    PID
    + """
import json
class Insists(Proxy):
    '''Speaks to those who have the key, under a path and a model's name of its own; told its upstream by a field.'''
    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            fields = {name: value for name, value in scope["headers"]}
            if fields.get(b"authorization") != b"Bearer sk-bread":
                await start(send, Head(401, []))
                return await finish(send, b"wrong\\n  key")
            if scope["path"] != "/api/speak":
                await start(send, Head(404, []))
                return await finish(send, b"no such path")
            scope = {**scope, "raw_path": b"/v1/audio/speech"}
        await super().__call__(scope, receive, send)
    def onward(self, scope, body):
        said = json.loads(body)
        assert (said["model"], said["voice"]) == ("kokoro", "af_bella"), said
        fields = {name: value for name, value in scope["headers"]}
        assert fields[b"x-upstream"].decode() == f"{self.base}v1" or fields[b"x-upstream"].decode() == f"{self.base}/v1"
        body = json.dumps({**said, "model": "tts-1", "voice": "alloy"}).encode()
        return super().onward(scope, body)
build = Insists
"""
)
INSISTED = ("--header", "x-upstream: {upstream}", "--path", "/api/speak", "--model", "kokoro", "--voice", "af_bella")
KEY = ("--header", "Authorization: Bearer sk-bread")


def test_wrong_credentials_are_told_at_once(tmp_path: Path) -> None:
    target = command(gateway(tmp_path, INSISTS))
    done, report = run(tmp_path, "--target", target, "-k", SELECT, "--loops", EXTERNAL, *INSISTED)
    assert done.returncode == report["exit_code"] == 3
    assert (
        "  the target did not start: the target answers a plain request 401: wrong key; see --header, --model\n"
    ) in done.stdout
    nobody_is_left(tmp_path)


def test_a_url_with_header_path_model_and_voice_is_judged_and_left_running(tmp_path: Path) -> None:
    """Somebody else has started it; it looks for its upstream where we were told to listen."""
    port = free_port()
    with by_hand(gateway(tmp_path, INSISTS), f"http://127.0.0.1:{port}/v1") as url:
        words = ("--upstream-bind", f"127.0.0.1:{port}", "--target", f"{url}/v1", "-k", SELECT, *KEY, *INSISTED)
        done, report = run(tmp_path, *words)
        assert done.returncode == report["exit_code"] == 0, done.stdout + done.stderr
        assert [loops for _, loops, _ in verdicts(report)] == ["asyncio/None/asyncio", "asyncio/None/trio"] * 2
        assert report["targets"] == [{"name": f"{url}/v1"}]
        assert [gone(pid) for pid in pids(tmp_path)] == [False]
        assert "sk-bread" not in done.stdout + json.dumps(report)


def test_two_urls_share_the_upstream_at_the_one_address(tmp_path: Path) -> None:
    port = free_port()
    upstream, path = f"http://127.0.0.1:{port}/v1", gateway(tmp_path)
    with by_hand(path, upstream) as first, by_hand(path, upstream) as second:
        targets = ("--target", f"{first}/v1", "--target", f"{second}/v1", "--upstream-bind", f"127.0.0.1:{port}")
        done, report = run(tmp_path, *targets, "-k", "one_request", "--loops", EXTERNAL)
    assert done.returncode == 0, done.stdout
    assert [row["target"] for row in report["results"]] == [f"{first}/v1", f"{second}/v1"]


def test_a_url_that_nobody_answers_at_is_told(tmp_path: Path) -> None:
    url, bind = f"http://127.0.0.1:{free_port()}/v1", f"127.0.0.1:{free_port()}"
    done, report = run(tmp_path, "--target", url, "--upstream-bind", bind, "-k", SELECT, "--loops", EXTERNAL)
    assert done.returncode == report["exit_code"] == 3
    assert (
        "  the target did not start: the target was not ready after 5 s: "
        f"POST {url}/audio/speech: [Errno 111] Connection refused.\n"
    ) in done.stdout


def test_a_server_that_is_not_in_front_of_our_upstream_is_told(tmp_path: Path) -> None:
    """It answers 200; but whatever it says, it has not asked us."""
    code = """
async def app(scope, receive, send):
    await start(send, Head(200, []))
    await finish(send, b"bread")
def build(url):
    return app
"""
    bind = f"127.0.0.1:{free_port()}"
    with by_hand(gateway(tmp_path, code), "http://127.0.0.1:9/v1") as url:
        done, report = run(tmp_path, "--target", url, "--upstream-bind", bind, "-k", SELECT, "--loops", EXTERNAL)
    assert done.returncode == report["exit_code"] == 3
    assert (
        f"not ready after 5 s: POST {url}/audio/speech is answered 200, but not from our upstream, "
        f"which is http://{bind}/v1.\n"
    ) in done.stdout


def test_an_address_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        words = ("--target", "http://127.0.0.1:9/v1", "--upstream-bind", bind, "-k", "one_request")
        done, report = run(tmp_path, *words, "--loops", EXTERNAL)
    assert done.returncode == report["exit_code"] == 3
    assert (
        "  the target did not start: our upstream cannot listen on "
        f"{bind}: Address already in use; see --upstream-bind\n"
    ) in done.stdout


def test_a_crash_is_no_failure_and_the_next_one_gets_a_new_process(tmp_path: Path) -> None:
    code = (
        PID
        + """
class Dies(Proxy):
    async def hand_on(self, stream, send):
        flag = pathlib.Path(__file__).with_name("died")
        if not flag.exists() and pathlib.Path(__file__).with_name("armed").exists():
            flag.touch()
            await start(send, Head(200, []))
            print("my last words")
            os._exit(3)
        await super().hand_on(stream, send)
    def onward(self, scope, body):
        if b"streamproof" not in body and b"this upstream" not in body:
            pathlib.Path(__file__).with_name("armed").touch()
        return super().onward(scope, body)
build = Dies
"""
    )
    target = command(gateway(tmp_path, code))
    done, report = run(tmp_path, "--target", target, "-k", "body_arrives or one_request", "--loops", EXTERNAL)
    assert done.returncode == report["exit_code"] == 3, done.stdout
    assert [verdict for *_, verdict in verdicts(report)] == ["unsound", *["pass"] * (len(report["results"]) - 1)]
    said = "the target's process died (exit code 3). It printed last:\nmy last words"
    assert report["results"][0]["reason"] == said
    assert len(pids(tmp_path)) == 2
    nobody_is_left(tmp_path)


def test_ctrl_c_while_a_program_gets_ready_takes_it_along(tmp_path: Path) -> None:
    with started(tmp_path, "--target", preset(tmp_path, gateway(tmp_path, NEVER)), "-k", SELECT) as process:
        until(lambda: len(pids(tmp_path)) == 1, "it is being started")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=GUARD)
    assert process.returncode == 130, out + err
    assert "Traceback" not in out + err
    nobody_is_left(tmp_path)


def test_a_run_that_is_interrupted_writes_no_half_list_of_what_is_known(tmp_path: Path) -> None:
    known = tmp_path / "known.toml"
    known.write_text("# what we know\n")
    write(tmp_path, HANGS)
    words = ("--target", "app:gateway.py:build", "-k", "one_request or (no_hang and fin)", "--loops", ONE)
    with started(tmp_path, *words, "--write-expect", known) as process:
        until((tmp_path / "waiting").exists, "the client waits for an end")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=GUARD)
    assert process.returncode == 130
    assert known.read_text() == "# what we know\n"


def test_a_run_that_is_killed_leaves_no_program(tmp_path: Path) -> None:
    with started(tmp_path, "--target", preset(tmp_path, gateway(tmp_path, NEVER)), "-k", SELECT) as process:
        until(lambda: len(pids(tmp_path)) == 1, "it is being started")
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=GUARD)
    until(lambda: all(map(gone, pids(tmp_path))), "it is gone")


def test_a_target_that_declares_a_half_close_and_no_slots_is_not_asked_for_them(tmp_path: Path) -> None:
    more = "declares.fin = 'half-close'\ndeclares.slots = 0\n"
    file = preset(tmp_path, gateway(tmp_path, "build = Proxy"), more)
    select = "silent_upstream or slots_return or after_headers"
    done, report = run(tmp_path, "--target", file, "-k", select, "--loops", EXTERNAL)
    assert done.returncode == 0, done.stdout
    assert {name: verdict for name, _, verdict in verdicts(report)} == {
        "closure/slots_return[128-aborts]": "skipped",
        "disconnect/after_headers[reset]": "pass",
        "disconnect/after_headers[fin]": "skipped",
        "disconnect/silent_upstream[reset]": "pass",
        "disconnect/silent_upstream[fin]": "skipped",
    }
    reasons = {row["reason"] for row in report["results"] if row["verdict"] == "skipped"}
    assert reasons == {
        "it declares that a FIN from its client is a half-close, not a departure",
        "it declares that it has no limit of open requests",
    }


POOL = """
import httpx
class ClientPerRequest(Proxy):
    '''Each response has a connection of its own, and fifteen of them stay open.'''
    kept = ()
    async def ask(self, request):
        *old, self.kept = self.kept[:-14], [*self.kept[-14:], httpx.AsyncClient(trust_env=False, timeout=None)]
        for client in (old[0] if old else ()):
            await client.aclose()
        async for item in deferred_stream(self.kept[-1], request):
            yield item
build = ClientPerRequest
"""


@pytest.mark.parametrize(("pool", "verdict"), [(None, "fail"), (19, "pass")])
def test_a_pool_that_is_declared_may_be_kept(tmp_path: Path, pool: int | None, verdict: str) -> None:
    file = preset(tmp_path, gateway(tmp_path, POOL), f"declares.pool = {pool}" if pool else "")
    done, report = run(tmp_path, "--target", file, "-k", "closes_at_end[small]", "--loops", EXTERNAL)
    assert [found for *_, found in verdicts(report)] == [verdict], done.stdout
    if verdict == "fail":
        (finding,) = report["results"][0]["findings"]
        assert finding["expected"] == "at most 10 connections open after 20 responses, one after another"


def test_routes_of_one_process_are_judged_each(tmp_path: Path) -> None:
    """The one masks what the other shows."""
    code = (
        PID
        + """
class Two(Proxy):
    async def __call__(self, scope, receive, send):
        masking = scope.get("path", "").startswith("/masking")
        if scope["type"] == "http":
            scope = {**scope, "raw_path": b"/v1/audio/speech"}
        await (self if not masking else Masks(f"{self.base}/v1")).serve(scope, receive, send)
    async def serve(self, scope, receive, send):
        await super().__call__(scope, receive, send)
class Masks(Two):
    async def upstream_failed(self, send, started):
        await finish(send)
build = Two
"""
    )
    routes = "[routes.faithful]\n[routes.masking]\npath = '/masking/speech'\n"
    file = preset(tmp_path, gateway(tmp_path, code), routes)
    junit = tmp_path / "report.xml"
    known = tmp_path / "known.toml"
    select = ("-k", "cut_is_an_error and (reset or fin)", "--loops", EXTERNAL)
    done, report = run(tmp_path, "--target", file, *select, "--write-expect", known)
    assert done.returncode == report["exit_code"] == 1
    assert [(row["target"], row["verdict"]) for row in report["results"]] == [
        (f"{file}/{route}", verdict) for route, verdict in (("faithful", "pass"), ("masking", "fail")) for _ in range(2)
    ]
    assert len(pids(tmp_path)) == 1, "one process has both"
    nobody_is_left(tmp_path)
    actual = report["results"][2]["findings"][0]["actual"]
    assert known.read_text() == (
        "# Known failures, for `streamproof run --expect`. Say in each value why it is so.\n"
        f'\n["{file}/masking"]\n"truncation/cut_is_an_error[fin]" = "{actual}"\n'
        f'"truncation/cut_is_an_error[reset]" = "{actual}"\n'
    )

    green, report = run(tmp_path, "--target", file, *select, "--expect", known, "--junit", junit)
    assert green.returncode == report["exit_code"] == 0, green.stdout
    assert [(row["verdict"], row["expected"]) for row in report["results"]] == [("pass", False)] * 2 + [
        ("fail", True)
    ] * 2
    assert report["summary"]["fail"] == 2
    assert re.search(r"truncation/cut_is_an_error +required +2 known\n", green.stdout)
    assert re.search(r"4 verdicts: 2 pass · 2 fail \(2 expected\) in .* s: nothing unexpected\n", green.stdout)
    assert "FAIL" not in green.stdout
    suite = ElementTree.parse(junit).getroot().find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors"), suite.get("skipped")) == (
        "4",
        "0",
        "0",
        "2",
    )
    assert [skip.get("type") for skip in suite.iter("skipped")] == ["pytest.xfail"] * 2

    one = ("--target", f"{file}/masking", *select)
    *kept, removed = known.read_text().splitlines(keepends=True)
    assert "[reset]" in removed
    known.write_text("".join(kept))
    news, report = run(tmp_path, *one, "--expect", known)
    assert news.returncode == 1
    assert [(row["variant"], row["expected"]) for row in report["results"] if row["verdict"] == "fail"] == [
        ("fin", True),
        ("reset", False),
    ]
    assert news.stdout.count("FAIL  ") == 1
    assert "FAIL  truncation/cut_is_an_error[reset]" in news.stdout

    known.write_text(f'["{file}/faithful"]\n# not so any more\n"truncation/cut_is_an_error[fin]" = "it was"\n')
    old, report = run(tmp_path, "--target", f"{file}/faithful", *select, "--expect", known)
    assert old.returncode == report["exit_code"] == 1
    assert report["summary"]["fail"] == 0
    assert (
        f"STALE  {known}:3: {file}/faithful: 'truncation/cut_is_an_error[fin]' is expected to fail, and passes: "
        "truncation/cut_is_an_error[fin] (upstream=asyncio,client=asyncio)\n"
        "  remedy    remove this entry, or say which variants and loops still fail\n"
    ) in old.stdout
    assert old.stdout.endswith(": an expected failure is none any more\n")


def test_an_expectations_file_that_cannot_be_used_is_told_before_anything_runs(tmp_path: Path) -> None:
    path = tmp_path / "known.toml"
    done = streamproof("run", "--expect", path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"streamproof: --expect {str(path)!r}: No such file or directory\n"
    path.write_text('["reference"]\n"delivery/pigeon" = "x"\n')
    done = streamproof("run", "--expect", path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"streamproof: {path}:2: 'delivery/pigeon': there is no scenario 'delivery/pigeon'; "
        "`streamproof list` shows them\n"
    )

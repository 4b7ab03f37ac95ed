"""`python -m fake_upstream` as a person runs it: what it prints, serves, refuses, and how it goes."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

import httpx
import pytest
from rawclient import GUARD, RawClient, converse, request

from fake_upstream import __main__ as by_hand
from fake_upstream.events import Event

ROOT = Path(__file__).parents[2]


def _start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    inherited = {name: value for name, value in os.environ.items() if name != "STREAMPROOF_CONTROL_TOKEN"}
    return subprocess.Popen(
        [sys.executable, "-m", "fake_upstream", *arguments],
        cwd=ROOT,
        env={**inherited, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class Started:
    """A fake upstream in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self.url = self.wait_for(r"speech +(http://127\.0\.0\.1:\d+/v1) ")[1]
        self.control_url = self.wait_for(r"control +(http://127\.0\.0\.1:\d+)$")[1]

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Read its output until a line matches."""
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if found := re.search(pattern, self.lines[-1]):
                return found
        assert self.process.stderr
        pytest.fail(f"it ended without {pattern!r}: {self.lines} {self.process.stderr.read()}")


@contextmanager
def _running(*arguments: str, **environment: str) -> Iterator[Started]:
    process = _start(*arguments, **environment)
    guard = Timer(2 * GUARD, process.kill)
    guard.start()
    try:
        with process:
            try:
                yield Started(process)
            finally:
                process.kill()
    finally:
        guard.cancel()


def _ended(*arguments: str, **environment: str) -> tuple[int, str]:
    """Exit code and what it said on stderr, of one that is to end by itself."""
    process = _start(*arguments, **environment)
    try:
        _, errors = process.communicate(timeout=2 * GUARD)
    finally:
        process.kill()
        process.communicate()
    return process.returncode, errors


def test_it_serves_a_hand_script_and_prints_what_happens(loop: str) -> None:
    with _running("--loop", loop) as up:
        text = "Hello. [[chunks=3x7 every=0 status=418 framing=content-length end=reset]]"
        data, how = converse(up.url, request(text))
        head, _, body = data.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 418 ")
        assert b"content-length: 21" in head
        assert (len(body), how) == (21, "reset")
        up.wait_for("closed +reset")
        events = [re.sub(r"^ +[0-9.]+  ", "", line) for line in up.lines[2:]]
        assert re.fullmatch(r"1/0  accepted +port \d+", events[0])
        assert [" ".join(line.split()) for line in events[1:]] == [
            "1/1 asked POST /v1/audio/speech",
            "1/1 head_sent",
            "1/1 emitted chunk 0 7 bytes",
            "1/1 emitted chunk 1 7 bytes",
            "1/1 emitted chunk 2 7 bytes",
            "1/1 finished reset",
            "1/1 closed reset",
        ]


def test_a_wrong_word_in_the_text_is_a_400(loop: str) -> None:
    with _running("--loop", loop) as up, RawClient(up.url) as client:
        client.send(request("Hello [[chunk=3]]"))
        status, _, body = client.answer()
        assert status == 400
        assert b"write name=value with a name of chunks, every" in body


def test_the_control_api_works_and_asks_for_the_token(loop: str) -> None:
    with (
        _running("--loop", loop, STREAMPROOF_CONTROL_TOKEN="s3cret") as up,
        httpx.Client(base_url=up.control_url, trust_env=False, timeout=GUARD) as http,
    ):
        assert http.get("/").status_code == 401
        answer = http.get("/", headers={"authorization": "Bearer s3cret"})
        assert (answer.json()["schema"], answer.json()["speech_url"]) == (1, up.url)


def test_a_printed_name_cannot_stop_it(loop: str) -> None:
    """A path with characters that the terminal has no letters for is printed in another way."""
    with _running("--loop", loop, PYTHONIOENCODING="ascii") as up:
        for _ in range(2):
            data, _ = converse(up.url, request(path="/v1/caf%C3%A9", headers=("connection: close",)))
            assert data.startswith(b"HTTP/1.1 404 ")
            up.wait_for(r"asked +POST /v1/caf\\xe9")


def test_sigint_ends_it_with_130(loop: str) -> None:
    """At once, whatever is being played; the ports are free and the client is told by RST."""
    with _running("--loop", loop) as up, RawClient(up.url) as client:
        client.send(request("[[chunks=2x5 every=1000]]"))
        up.wait_for("asked")
        up.process.send_signal(signal.SIGINT)
        output, errors = up.process.communicate(timeout=GUARD)
        assert up.process.returncode == 130
        assert output.endswith("stopped\n")
        assert errors == ""
        assert client.rest()[1] == "reset"
        for url in (up.url, up.control_url):
            with pytest.raises(ConnectionRefusedError):
                RawClient(url)


@pytest.mark.parametrize("option", ["--port", "--control-port"])
def test_a_port_in_use_is_exit_code_2(loop: str, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, errors = _ended("--loop", loop, option, port)
    assert code == 2
    assert "cannot listen on 127.0.0.1:" in errors
    assert f":{port}" in errors
    assert "in use" in errors
    assert "Choose another --port, or 0 for a free one." in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("port", ["65536", "-1", "http", "1.5"])
def test_a_bad_port_is_exit_code_2(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        by_hand.main([f"--port={port}"])
    assert ended.value.code == 2
    assert f"'{port}' is no port: give a number from 0 to 65535" in capsys.readouterr().err


def test_an_unknown_loop_is_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        by_hand.main(["--loop", "curio"])
    assert ended.value.code == 2
    assert "asyncio" in capsys.readouterr().err


def test_a_host_that_does_not_exist_is_exit_code_2() -> None:
    code, errors = _ended("--host", "256.256.256.256")
    assert code == 2
    assert "cannot listen on 256.256.256.256:0" in errors
    assert "Traceback" not in errors


def test_the_control_api_keeps_to_loopback_without_a_token(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STREAMPROOF_CONTROL_TOKEN", raising=False)
    with pytest.raises(SystemExit) as ended:
        by_hand.main(["--control-host", "0.0.0.0"])
    assert ended.value.code == 2
    assert "set STREAMPROOF_CONTROL_TOKEN, or keep to 127.0.0.1" in capsys.readouterr().err


def test_lines() -> None:
    began = 1_000_000_000
    emitted = Event(2_500_000_000, "emitted", 3, 4, "text", chunk=7, size=512)
    assert by_hand.line(emitted, began) == "    1.500  3/4  emitted      chunk 7 512 bytes"
    released = Event(began, "released", key="text", size=2)
    assert by_hand.line(released, began) == "    0.000  0/0  released     2 gates"

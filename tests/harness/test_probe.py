"""`streamproof probe` against the fake upstream by hand, directly and through proxies that stream or do not."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from commands import COMMAND, GUARD, environment, streamproof
from gateways import by_hand, free_port, gateway

from harness.cli import main

STEADY = "Hello. [[chunks=20x1000 every=0.05]]"


class Fake:
    """`python -m fake_upstream`, and what it prints."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.url = self.prints(r"speech +(\S+)")[1]

    def prints(self, pattern: str) -> re.Match[str]:
        assert self.process.stdout
        for line in self.process.stdout:
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"it ended without {pattern!r}")


@pytest.fixture(scope="module")
def fake() -> Iterator[Fake]:
    with fake_by_hand() as started:
        yield started


@contextmanager
def fake_by_hand(*words: str) -> Iterator[Fake]:
    with subprocess.Popen(
        [sys.executable, "-m", "fake_upstream", *words],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Fake(process)
        finally:
            process.kill()


def probed(folder: Path, url: str, text: str, *words: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    report = folder / "probe.json"
    done = streamproof("probe", url, "--input", text, "--json", report, *words)
    assert "Traceback" not in done.stderr
    return done, json.loads(report.read_text())


def test_a_stream_is_shown_with_head_figures_picture_and_evidence(tmp_path: Path, fake: Fake) -> None:
    done, report = probed(tmp_path, fake.url, STEADY)
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert lines[:2] == [f"POST {fake.url}/audio/speech", "status 200"]
    assert "  content-type: audio/mpeg" in lines
    assert re.search(r"^bytes +20,000$", done.stdout, re.MULTILINE)
    assert re.search(r"^stream_setup_latency_ms +[\d,]+\.\d$", done.stdout, re.MULTILINE)
    assert re.search(r"^\|.{60}\|$", done.stdout, re.MULTILINE)
    assert report["manner"] == "streams"
    assert lines[-1] == f"streams: {report['evidence']}"
    assert (report["schema"], report["status"], report["trouble"]) == (1, 200, "")
    assert ["content-type", "audio/mpeg"] in report["headers"]
    assert report["metrics"]["bytes"] == 20_000
    assert len(report["gaps_ms"]) == report["metrics"]["reads"] - 1


def test_a_proxy_that_streams_and_one_that_reads_all_are_told_apart(tmp_path: Path, fake: Fake) -> None:
    reads_all = "from harness.specimens.reads_all import build"
    with (
        by_hand(gateway(tmp_path), fake.url) as faithful,
        by_hand(gateway(tmp_path, reads_all, "reads_all.py"), fake.url) as buffering,
    ):
        good, streams = probed(tmp_path, f"{faithful}/v1", STEADY)
        bad, buffers = probed(tmp_path, f"{buffering}/v1", STEADY)
    assert (good.returncode, streams["manner"]) == (0, "streams"), good.stdout
    assert (bad.returncode, buffers["manner"]) == (1, "buffers"), bad.stdout
    assert "20,000 bytes came within" in buffers["evidence"]
    assert streams["metrics"]["bytes"] == buffers["metrics"]["bytes"] == 20_000


def test_a_proxy_that_regroups_is_told_with_its_buffers_size(tmp_path: Path, fake: Fake) -> None:
    regroups = "from harness.specimens.regroups_8k import build"
    with by_hand(gateway(tmp_path, regroups), fake.url) as url:
        done, report = probed(tmp_path, f"{url}/v1", "Hello. [[chunks=60x1000 every=0.03]]")
    assert (done.returncode, report["manner"]) == (1, "regroups"), done.stdout
    assert "multiples of 8,192 bytes" in report["evidence"]


def test_an_error_is_shown_and_cannot_be_told(tmp_path: Path, fake: Fake) -> None:
    done, report = probed(tmp_path, fake.url, "Hello. [[status=418 chunks=1x5]]")
    assert done.returncode == 3
    assert "\nstatus 418\n" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("unknown: it is answered 418: ")
    assert (report["status"], report["manner"]) == (418, "unknown")


def test_a_stream_that_is_cut_is_shown_as_far_as_it_came_and_is_no_success(tmp_path: Path, fake: Fake) -> None:
    done, report = probed(tmp_path, fake.url, "Hello. [[chunks=20x1000 every=0.05 end=fin]]")
    assert done.returncode == 3
    assert "\nnot whole: RemoteProtocolError: " in done.stdout
    assert report["trouble"].startswith("RemoteProtocolError: ")
    assert (report["manner"], report["metrics"]["bytes"]) == ("streams", 20_000)


def test_a_service_that_is_silent_for_too_long_is_given_up(tmp_path: Path, fake: Fake) -> None:
    done, report = probed(tmp_path, fake.url, "Hello. [[chunks=3x1000 every=0 end=hang]]", "--timeout", "0.5")
    assert done.returncode == 3
    assert report["trouble"].startswith("ReadTimeout: ")


def test_nobody_there_is_told(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}/v1"
    done, report = probed(tmp_path, url, "Hello.")
    assert done.returncode == 3
    assert done.stdout == (f"POST {url}/audio/speech\nunknown: ConnectError: [Errno 111] Connection refused\n")
    assert (report["status"], report["metrics"], report["gaps_ms"]) == (None, {}, [])


def test_header_path_model_voice_and_formats_are_sent(tmp_path: Path) -> None:
    with fake_by_hand("--api-key", "sk-bread") as fake:
        wrong, _ = probed(tmp_path, fake.url, "Hello.")
        assert (wrong.returncode, "\nstatus 401\n" in wrong.stdout) == (3, True)
        root = fake.url.removesuffix("/v1")
        words = ["--header", "Authorization: Bearer sk-bread", "--path", "/v1/audio/speech?a=b", "--format", "wav"]
        done, report = probed(tmp_path, f"{root}/elsewhere", STEADY, *words, "--voice", "nova")
        assert done.returncode in (0, 1), done.stdout
        assert report["url"] == f"{root}/v1/audio/speech?a=b"
        assert ["content-type", "audio/wav"] in report["headers"]
        assert "sk-bread" not in done.stdout + json.dumps(report)
        done, report = probed(
            tmp_path, fake.url, "Hello.", *words[:2], "--stream-format", "sse", "--model", "gpt-4o-mini-tts"
        )
        assert ["content-type", "text/event-stream"] in [
            [name, value.partition(";")[0]] for name, value in report["headers"]
        ]


def test_ctrl_c_shows_what_has_come_and_is_130() -> None:
    with (
        fake_by_hand() as fake,
        subprocess.Popen(
            [*COMMAND, "probe", fake.url, "--input", "Hello. [[chunks=3x1000 every=0 end=hang]]"],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        try:
            fake.prints("emitted +chunk 2")
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=GUARD)
        finally:
            process.kill()
    assert (process.returncode, err) == (130, "")
    assert "not whole: interrupted\n" in out


@pytest.mark.parametrize("url", ["nonsense", "ftp://h/v1", "http://", "http://[::1", "http://h:port/v1"])
def test_what_is_no_url_is_refused(capsys: pytest.CaptureFixture[str], url: str) -> None:
    assert main(["probe", url]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"streamproof: {url!r} is no base URL; write one as in http://127.0.0.1:4000/v1\n"


def test_a_report_that_cannot_be_written_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "no" / "probe.json"
    assert main(["probe", f"http://127.0.0.1:{free_port()}", "--json", str(place)]) == 2
    assert capsys.readouterr().err == f"streamproof: --json {str(place)!r}: No such file or directory\n"

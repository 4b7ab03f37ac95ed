"""`streamproof probe`: ask a speech API for one stream, from the client's end alone, and say how it came.

It needs no upstream of ours, so it works against a provider too. What it says is evidence; `streamproof run` proves.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from time import monotonic_ns

import httpx

from harness.arrivals import Arrivals, Manner
from harness.endpoint import endpoint_of
from harness.target import BODY_PATH

SCHEMA = 1
TEXT = (
    "The quick brown fox jumps over the lazy dog, and takes its time: this sentence is long enough that a service "
    "which speaks as it goes has something to say for a while before it has said it all."
)
SHOWN = 300
INTERRUPTED = "interrupted"
CODES: dict[Manner, int] = {"streams": 0, "regroups": 1, "buffers": 1, "unknown": 3}


@dataclass(frozen=True)
class Probe:
    """What came back. `trouble` says why it is not whole, if it is not."""

    url: str
    status: int | None
    headers: tuple[tuple[str, str], ...]
    arrivals: Arrivals | None
    trouble: str = ""

    def manner(self) -> tuple[Manner, str]:
        if self.arrivals is None or self.status != 200:
            return "unknown", self.trouble
        return self.arrivals.manner()


def add_probe_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", metavar="URL", help="a base URL, as in OPENAI_BASE_URL: http://127.0.0.1:4000/v1")
    parser.add_argument("--input", default=TEXT, metavar="TEXT", help="what is to be spoken")
    parser.add_argument("--format", default="mp3", help="response_format (default %(default)s)")
    parser.add_argument("--stream-format", choices=("audio", "sse"), help="stream_format, if one is to be asked for")
    parser.add_argument(
        "--timeout", type=float, default=60.0, metavar="SECONDS", help="longest silence (default %(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was seen as JSON")


def probe_command(args: argparse.Namespace) -> int:
    """Probe and print. Exit code 0: streams; 1: regroups or buffers; 2: cannot be asked; 3: cannot be told, or is not
    whole; 130: interrupted."""
    endpoint = endpoint_of(args)
    try:
        base = httpx.URL(args.url)
    except httpx.InvalidURL:
        base = httpx.URL("")
    if base.scheme not in ("http", "https") or not base.host:
        print(f"streamproof: {args.url!r} is no base URL; write one as in http://127.0.0.1:4000/v1", file=sys.stderr)
        return 2
    path = endpoint.path or base.path.rstrip("/") + BODY_PATH
    if base.query and "?" not in path:
        path += f"?{base.query.decode()}"
    body = endpoint.body(args.input, args.format)
    if args.stream_format:
        body["stream_format"] = args.stream_format
    probe = look(str(base.copy_with(raw_path=path.encode())), body, dict(endpoint.headers), args.timeout)
    show(probe)
    if args.json:
        try:
            args.json.write_text(json.dumps(to_json(probe), indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            print(f"streamproof: --json {str(args.json)!r}: {error.strerror}", file=sys.stderr)
            return 2
    if probe.trouble == INTERRUPTED:
        return 130
    return CODES["unknown" if probe.trouble else probe.manner()[0]]


def look(url: str, body: dict[str, str], headers: dict[str, str], timeout: float) -> Probe:
    """One request, every read stamped. What goes wrong is in the answer, Ctrl-C too: what came by then is kept."""
    status: int | None = None
    fields: tuple[tuple[str, str], ...] = ()
    reads: list[tuple[int, int]] = []
    trouble, said = "", b""
    asked = monotonic_ns()
    head = asked
    try:
        with (
            httpx.Client(trust_env=False, timeout=timeout) as http,
            http.stream("POST", url, json=body, headers={"accept-encoding": "identity", **headers}) as answer,
        ):
            head, status, fields = monotonic_ns(), answer.status_code, tuple(answer.headers.items())
            for data in answer.iter_raw():
                reads.append((monotonic_ns(), len(data)))
                said += data[: SHOWN - len(said)] if status != 200 else b""
    except httpx.HTTPError as error:
        trouble = f"{type(error).__name__}: {error}"
    except KeyboardInterrupt:
        trouble = INTERRUPTED
    if status is None:
        return Probe(url, None, (), None, trouble)
    if status != 200:
        trouble = trouble or f"it is answered {status}: {' '.join(said.decode(errors='replace').split())}"
    return Probe(url, status, fields, Arrivals(asked, head, tuple(reads), monotonic_ns(), not trouble), trouble)


def show(probe: Probe) -> None:
    """Print it: head, figures, picture, and what to make of it."""
    print(f"POST {probe.url}")
    if probe.status is not None:
        print(f"status {probe.status}")
        for name, value in probe.headers:
            print(f"  {name}: {value}")
    if probe.arrivals is not None:
        for name, number in probe.arrivals.metrics().items():
            print(f"{name:<28}{number:>14,.1f}" if name.endswith("_ms") else f"{name:<28}{number:>12,.0f}")
        if probe.arrivals.reads:
            print(f"|{probe.arrivals.picture()}|")
    if probe.trouble == INTERRUPTED or (probe.trouble and probe.status == 200):
        print(f"not whole: {probe.trouble}")
    manner, evidence = probe.manner()
    print(f"{manner}: {evidence}")


def to_json(probe: Probe) -> dict[str, object]:
    manner, evidence = probe.manner()
    return {
        "schema": SCHEMA,
        "url": probe.url,
        "status": probe.status,
        "headers": [list(pair) for pair in probe.headers],
        "manner": manner,
        "evidence": evidence,
        "trouble": probe.trouble,
        "metrics": probe.arrivals.metrics() if probe.arrivals else {},
        "gaps_ms": probe.arrivals.gaps_ms if probe.arrivals else [],
    }

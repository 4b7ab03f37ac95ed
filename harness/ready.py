"""Is it up, and is it ours? A port that is open proves neither: one request must come through to our own upstream."""

from __future__ import annotations

from secrets import token_hex
from time import monotonic, sleep

import httpx

from fake_upstream.pacing import burst
from fake_upstream.script import Script
from fake_upstream.upstream import FakeUpstream
from harness.far_upstream import FarUpstream
from harness.hosting import Runner, StartError
from harness.preset import Endpoint

SCRIPT = Script(burst(1, 100), content_type="audio/mpeg")
PAUSE = 0.1
LONGEST_ANSWER = 10.0
REFUSALS = (401, 403)
SHOWN = 300
"""Characters of an answer that are worth showing."""


def wait_until_ready(
    url: str,
    endpoint: Endpoint,
    upstream: FakeUpstream | FarUpstream,
    seconds: float,
    runner: Runner | None = None,
    ready_path: str = "",
) -> bool:
    """Ask until an answer comes through from this upstream; whether it came whole, which is for claims to judge.

    `url` is the target's root; `runner` has its output, if it is ours; `ready_path` must answer 200 first. Raises
    StartError that says what came instead.
    """
    deadline = monotonic() + seconds
    with httpx.Client(trust_env=False, timeout=LONGEST_ANSWER) as http:
        while True:
            if runner and runner.state() == "dead":
                raise StartError(runner.epitaph())
            seen = _plain(http, url + ready_path) if ready_path else ""
            if not seen:
                ready_path = ""
                seen, whole = _end_to_end(http, url + endpoint.path, endpoint, upstream)
                if not seen:
                    return whole
            if monotonic() >= deadline:
                printed = runner.output() if runner else ""
                more = f" It printed last:\n{printed}" if printed else ""
                raise StartError(f"the target was not ready after {seconds:.0f} s: {seen}.{more}")
            sleep(PAUSE)


def _plain(http: httpx.Client, url: str) -> str:
    """What is wrong with the answer; "" if nothing is."""
    try:
        status = http.get(url).status_code
    except httpx.HTTPError as error:
        return f"GET {url}: {str(error) or type(error).__name__}"
    return "" if status == 200 else f"GET {url} is answered {status}"


def _end_to_end(
    http: httpx.Client, url: str, endpoint: Endpoint, upstream: FakeUpstream | FarUpstream
) -> tuple[str, bool]:
    """What is wrong with the answer, "" if nothing is; and whether its body came to an end.

    What it says of its encoding is another claim's business.
    """
    key = f"Does a request come through to this upstream? ({token_hex(6)})"
    headers = {"accept-encoding": "identity", **endpoint.headers_for(upstream.url)}
    upstream.runs.arm(key, SCRIPT)
    status, body, broke = 0, b"", ""
    try:
        with http.stream("POST", url, json=endpoint.body(key, "mp3"), headers=headers) as answer:
            status = answer.status_code
            body = _drain(answer)
    except httpx.HTTPError as error:
        broke = f"POST {url}: {str(error) or type(error).__name__}"
    finally:
        asked = any(event.what == "asked" for event in upstream.journal.of(key))
        upstream.runs.disarm(key)
        upstream.journal.forget(key)
    said = " ".join(body[:SHOWN].decode(errors="replace").split())
    if status in REFUSALS:
        raise StartError(f"the target answers a plain request {status}: {said}; see --header, --model")
    if broke and not (status == 200 and asked):
        return broke, False
    if status != 200:
        return f"POST {url} is answered {status}: {said}", False
    if not asked:
        return f"POST {url} is answered 200, but not from our upstream, which is {upstream.url}", False
    return "", not broke


def _drain(answer: httpx.Response) -> bytes:
    """The body, to its end, or as much as comes in time."""
    until, body = monotonic() + LONGEST_ANSWER, b""
    for data in answer.iter_raw():
        body += data
        if monotonic() >= until:
            raise httpx.ReadTimeout(f"it is still being answered after {LONGEST_ANSWER:.0f} s")
    return body

"""Nobody listens for the client leaving, and a read timeout, httpx's own 5 s, makes it look as if somebody did."""

import httpx

from harness.specimens.deaf import Deaf

CATCHES = (
    "disconnect/silent_upstream",
    "disconnect/active_upstream",
    "disconnect/after_headers",
    "disconnect/before_headers",
    "closure/abandoned_before_body",
    "time/silent_gap",
)


class DeafWithTimeout(Deaf):
    def __init__(self, upstream_url: str) -> None:
        super().__init__(upstream_url)
        self.http.timeout = httpx.Timeout(5.0)


build = DeafWithTimeout

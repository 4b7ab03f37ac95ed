"""Speech through httpx as a deferred stream, by the reference's own code: a generator that asks when it is pulled."""

import httpx

from harness.proxies.reference import deferred_stream


def speak(http: httpx.AsyncClient, url: str, text: str):
    """First the head, then the audio as it arrives."""
    body = {"model": "tts-1", "voice": "alloy", "input": text}
    return deferred_stream(http, httpx.Request("POST", f"{url}/audio/speech", json=body))

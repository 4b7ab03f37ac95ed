"""Faults: functions from a script to a script. Names are Toxiproxy's and WireMock's where they exist. Pure.

Adding one: write a function here that takes a script first and returns `script.but(...)`.
"""

from __future__ import annotations

from dataclasses import replace

from fake_upstream.pacing import at_bandwidth, sliced, stalled
from fake_upstream.script import WRITTEN, Chunk, Ending, EndingKind, Script, check_seconds, check_whole


def latency(script: Script, seconds: float) -> Script:
    """The head comes `seconds` later (Toxiproxy: latency)."""
    check_seconds("seconds", seconds)
    return script.but(head=replace(script.head, after=script.head.after + seconds))


def stall(script: Script, before: int, seconds: float) -> Script:
    """Silence of `seconds` before chunk `before`."""
    return script.but(chunks=stalled(script.chunks, before, seconds))


def bandwidth(script: Script, rate: float) -> Script:
    """The body comes at no more than `rate` bytes a second (Toxiproxy: bandwidth, which counts kilobytes)."""
    return script.but(chunks=at_bandwidth(script.chunks, rate))


def slicer(script: Script, size: int, delay: float = 0.0, variation: int = 0) -> Script:
    """Every chunk in pieces of at most `size` bytes, up to `variation` smaller, `delay` seconds apart.

    Toxiproxy: slicer, with its average_size as our largest, and its delay in seconds. The script's seed varies them.
    """
    return script.but(chunks=sliced(script.chunks, size, delay, variation, script.seed))


def limit_data(script: Script, size: int, ending: EndingKind = "fin") -> Script:
    """Only the first `size` body bytes, then `ending` (Toxiproxy: limit_data).

    A Content-Length stays as it was, unless the ending is `finish`.
    """
    check_whole("size", size, 0)
    text = script.text
    if script.payload in WRITTEN:
        text = text.encode()[:size].decode(errors="ignore")
        size = len(text.encode())
    kept: list[Chunk] = []
    room = size
    for chunk in script.chunks:
        if room == 0:
            break
        kept.append(replace(chunk, size=min(chunk.size, room)))
        room -= kept[-1].size
    missing = 0 if ending == "finish" else script.promised - sum(chunk.size for chunk in kept)
    if script.framing == "content-length" and ending == "fin" and missing:
        ending = "short"
    return script.but(chunks=tuple(kept), ending=replace(script.ending, kind=ending), missing=missing, text=text)


def reset_peer(script: Script, gate: bool = False) -> Script:
    """RST after the last chunk (Toxiproxy: reset_peer)."""
    return script.but(ending=Ending(kind="reset", gate=gate))


def cut(script: Script, gate: bool = False) -> Script:
    """FIN after the last chunk, without the end marker: no terminating chunk, or short of Content-Length."""
    kind: EndingKind = "short" if script.framing == "content-length" else "fin"
    return script.but(ending=Ending(kind=kind, gate=gate))


def malformed_response_chunk(script: Script, gate: bool = False) -> Script:
    """A chunk whose size is no number, then a close (WireMock: MALFORMED_RESPONSE_CHUNK)."""
    return script.but(ending=Ending(kind="malformed", gate=gate))


def hang(script: Script) -> Script:
    """All chunks, then silence for ever (Toxiproxy: timeout 0)."""
    return script.but(ending=Ending(kind="hang"))


def half_close(script: Script) -> Script:
    """All chunks, then FIN without the end marker, the connection still readable."""
    return script.but(ending=Ending(kind="half_close"))


def empty_response(script: Script, ending: EndingKind = "fin") -> Script:
    """No byte at all, not even a head: the connection closes, is reset or hangs (WireMock: EMPTY_RESPONSE)."""
    return script.but(chunks=(), silent=True, ending=Ending(kind=ending), text="", payload="seeded", early=())

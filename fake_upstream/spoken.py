"""Scripts that speak: real audio cut into chunks, or into the events of an event stream. Pure.

Blocking, where a speech must first be encoded: call these in a thread. Sources: OpenAI API reference, "Create speech";
its pricing page, for how many tokens a minute of audio has.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import ceil

from fake_upstream import formats, sse
from fake_upstream.encoded import Encoded, encode
from fake_upstream.pacing import steady
from fake_upstream.pcm import SAMPLE_RATE
from fake_upstream.pyav import CodecMissing
from fake_upstream.script import Chunk, Script, ScriptError, check_seconds, check_whole
from fake_upstream.speech import CONTENT_TYPES, SpeechRequest, error_body
from fake_upstream.utterance import Speech

PIECE = {name: form.piece for name, form in formats.FORMATS.items()}
"""Samples between two cuts of encoded speech (encoded.py): a codec's frame, an Ogg page, 20 ms."""
CHUNK_SECONDS = 0.1
CHARACTERS_PER_TOKEN = 4
TOKENS_PER_MINUTE = 1_250
EVENTS = 6
FAILURE = "The server had an error while processing your request."


def speech_script(
    speech: Speech, *, chunk_seconds: float = CHUNK_SECONDS, gated: bool = False, paced: bool = False
) -> Script:
    """Answer with this speech, cut at codec frames into chunks of `chunk_seconds` of audio or a little more.

    `gated`: a gate before every chunk but the first, for lockstep. `paced`: a chunk is due when the audio before it
    has played; otherwise they come back to back. The first chunk holds the header too. Raises what `encode` does.
    """
    ends, starts = _cut(speech, encode(speech), chunk_seconds)
    return Script(
        chunks=_chunks([b - a for a, b in pairwise((0, *ends))], starts, gated, paced),
        content_type=CONTENT_TYPES[speech.response_format],
        payload="speech",
        speech=speech,
    )


def sse_script(
    audio: bytes | Speech,
    *,
    events: int | None = None,
    chunk_seconds: float = CHUNK_SECONDS,
    gated: bool = False,
    paced: bool = False,
    usage: sse.Usage | None = None,
) -> Script:
    """Answer with an event stream: chunk k is event k, whole, and the last one is `speech.audio.done`.

    Bytes are cut into `events` pieces (6 if not said), a speech at codec frames, into `events` pieces if that is
    given, else as in `speech_script`. `gated` and `paced` as there; bytes have no pace of their own. Raises what
    `encode` does, ScriptError for more events than there are pieces.
    """
    if events is not None:
        check_whole("events", events, 1)
    if isinstance(audio, Speech):
        encoded = encode(audio)
        data, told = encoded.data, usage_of(audio, encoded)
        if events is None:
            ends, starts = _cut(audio, encoded, chunk_seconds)
        else:
            ends, starts = _shared(encoded.cuts, events), (0.0,) * events
            if paced:
                starts = tuple(encoded.seconds * index / events for index in range(events))
    else:
        data, told = audio, sse.Usage(0, 0, 0)
        ends = _shared(tuple(range(1, len(data) + 1)), events or EVENTS)
        starts = (0.0,) * len(ends)
    written = [sse.delta(data[a:b]) for a, b in pairwise((0, *ends))] + [sse.done(usage or told)]
    return _written(written, _chunks([len(event) for event in written], (*starts, starts[-1]), gated, paced))


def sse_error(script: Script, before: int, message: str = FAILURE) -> Script:
    """The same event stream up to event `before`; in its place an error event, and then the script's ending."""
    if script.payload != "sse":
        raise ScriptError("payload", script.payload, 'only an event stream ("sse") has events')
    if not isinstance(before, int) or not 0 <= before < len(script.chunks):
        raise ScriptError("before", before, f"name one of the {len(script.chunks)} events, from 0")
    event = sse.error(error_body(500, message))
    kept = script.chunks[:before]
    text = script.text.encode()[: script.ends[before - 1] if before else 0] + event
    last = replace(script.chunks[before], size=len(event))
    return script.but(chunks=(*kept, last), text=text.decode())


def plain_script(request: SpeechRequest) -> Script:
    """What an unscripted request gets: its speech, as fast as it plays.

    Without PyAV, where the format needs it, one chunk of a speech that nobody can encode: words that put other chunks
    in its place can do with that, and playing it raises CodecMissing.
    """
    speech = Speech(request.input, request.voice, request.response_format, request.speed)
    try:
        return sse_script(speech, paced=True) if request.stream_format == "sse" else speech_script(speech, paced=True)
    except CodecMissing:
        kind = CONTENT_TYPES[speech.response_format]
        return Script(steady(1, 1, CHUNK_SECONDS), content_type=kind, payload="speech", speech=speech)


def usage_of(speech: Speech, encoded: Encoded) -> sse.Usage:
    """Tokens by rule of thumb: one for four characters of text, 1,250 for a minute of audio."""
    read = ceil(len(speech.text) / CHARACTERS_PER_TOKEN)
    made = ceil(encoded.seconds * TOKENS_PER_MINUTE / 60)
    return sse.Usage(read, made, read + made)


def _cut(speech: Speech, encoded: Encoded, chunk_seconds: float) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Where each chunk ends (bytes), and when the audio before it has played (seconds)."""
    check_seconds("chunk_seconds", chunk_seconds)
    samples = PIECE[speech.response_format]
    each = max(1, ceil(chunk_seconds * SAMPLE_RATE / samples))
    firsts = range(0, len(encoded.cuts), each)
    ends = tuple(encoded.cuts[min(first + each, len(encoded.cuts)) - 1] for first in firsts)
    return ends, tuple(first * samples / SAMPLE_RATE for first in firsts)


def _shared(cuts: tuple[int, ...], count: int) -> tuple[int, ...]:
    """Where each of `count` pieces ends, nearly equal in how many cuts they have."""
    if count > len(cuts):
        raise ScriptError("events", count, f"there are {len(cuts)} pieces of audio: give 1 to {len(cuts)} events")
    return tuple(cuts[len(cuts) * index // count - 1] for index in range(1, count + 1))


def _chunks(sizes: list[int], starts: tuple[float, ...], gated: bool, paced: bool) -> tuple[Chunk, ...]:
    afters = [b - a for a, b in pairwise((0.0, *starts))] if paced else [0.0] * len(sizes)
    return tuple(
        Chunk(size=size, after=after, gate=gated and index > 0)
        for index, (size, after) in enumerate(zip(sizes, afters, strict=True))
    )


def _written(events: list[bytes], chunks: tuple[Chunk, ...]) -> Script:
    text = b"".join(events).decode()
    return Script(chunks=chunks, content_type=sse.CONTENT_TYPE, payload="sse", text=text)

"""Speech → encoded audio in the API's six formats, the same bytes each time. Blocking: call it in a thread.

Measured for 273 s of audio (4,096 characters), on one core: mp3, opus and aac take 0.5 to 2 s, flac 0.2 s, wav and pcm
next to nothing. Containers are written as a stream is, front to back: no MP3 length header, no total in FLAC, for a
service that sends while it speaks does not know the length.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from types import ModuleType
from typing import Any

from fake_upstream import container, pcm, pyav
from fake_upstream.formats import FORMATS, Codec
from fake_upstream.memo import Memo
from fake_upstream.utterance import Speech

KEPT = 64 * 2**20
"""Bytes of encoded audio that are kept for the next to ask."""
CUT = 2 * pcm.SAMPLE_RATE // 50
"""Bytes of PCM between two cuts: 20 ms, as in Opus."""
SECOND = 2 * pcm.SAMPLE_RATE
BITEXACT = {"fflags": "+bitexact", "flush_packets": "1"}
"""No random Ogg serial, no version and no date; each frame is written as soon as it is made."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Encoded audio. `seconds` is what a decoder plays once all of it has come.

    `cuts` are the offsets at which a piece of audio ends: an MP3, ADTS or FLAC frame, an Ogg page, 20 ms of WAV or
    PCM; the last one is the end. The first piece includes the header.
    """

    data: bytes = field(repr=False)
    cuts: tuple[int, ...] = field(repr=False)
    seconds: float


class _Sink:
    """A file that cannot seek, so that no header is amended afterwards."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes) -> int:
        self.data += data
        return len(data)


def encode(speech: Speech) -> Encoded:
    """Encode, or take what was encoded before. Equal speeches give equal bytes with the same version of PyAV.

    The source is 24 kHz, 16 bit, mono, and lasts `pcm.SECONDS_PER_CHARACTER` a character over the speed; wav and
    pcm are that source. Threads that ask for the same speech at once wait for one encoding. Raises CodecMissing
    where the format needs PyAV.
    """
    return _MEMO.get(speech)


def header_size(encoded: Encoded) -> int:
    """How many bytes stand before the first audio."""
    return container.header_size(encoded.data) or 0


def _encode(speech: Speech) -> Encoded:
    samples = pcm.speech(speech.text, speech.speed, speech.voice)
    if codec := FORMATS[speech.response_format].codec:
        return _compress(samples, codec, speech.response_format)
    data = pcm.wav(samples) if speech.response_format == "wav" else samples
    first = len(data) - len(samples) + CUT
    return Encoded(data, (*range(first, len(data), CUT), len(data)), len(samples) / SECOND)


def _compress(source: bytes, codec: Codec, response_format: str) -> Encoded:
    av, sink = pyav.load(response_format), _Sink()
    cuts = []
    with av.open(sink, "w", format=codec.muxer, options={**BITEXACT, **dict(codec.muxer_options)}) as out:
        options = {"flags": "+bitexact", **dict(codec.encoder_options)}
        stream = out.add_stream(codec.encoder, rate=pcm.SAMPLE_RATE, layout="mono", options=options)
        if codec.bit_rate:
            stream.bit_rate = codec.bit_rate
        for frame in chain(_frames(av, source), (None,)):  # None: no more is to come
            for packet in stream.encode(frame):
                if packet.size:  # FLAC's last packet has no audio, only a header for those who could go back
                    out.mux(packet)
                    cuts.append(len(sink.data))
        samples = len(cuts) * stream.codec_context.frame_size if codec.runs_in else len(source) // 2
    data = bytes(sink.data)
    if codec.muxer == "ogg":  # which gathers packets into pages and writes those later
        header = container.header_size(data) or 0
        cuts = [page.end for page in container.ogg_pages(data) if page.end > header]
    return Encoded(data, tuple(cuts), samples / pcm.SAMPLE_RATE)


def _frames(av: ModuleType, source: bytes) -> Iterator[Any]:
    """PyAV's audio frames, of a second each."""
    for start in range(0, len(source), SECOND):
        piece = source[start : start + SECOND]
        frame = av.AudioFrame(format="s16", layout="mono", samples=len(piece) // 2)
        frame.sample_rate, frame.pts = pcm.SAMPLE_RATE, start // 2
        frame.planes[0].update(piece)
        yield frame


_MEMO: Memo[Speech, Encoded] = Memo(_encode, weigh=lambda encoded: len(encoded.data), limit=KEPT)

"""Audio bytes → what of them plays: the witness that what arrived is audio. Blocking: call it in a thread."""

from __future__ import annotations

import io
import wave
from dataclasses import dataclass

from fake_upstream import pyav
from fake_upstream.pcm import SAMPLE_RATE

DEMUXERS = {"mp3": "mp3", "opus": "ogg", "aac": "aac", "flac": "flac"}
"""FFmpeg's names; the codec bears the format's own."""
WITHOUT_CHECKSUM = ("mp3", "aac")
"""Formats in which a decoder may take noise for a frame: half of the bytes must decode, or it is none of it."""


class Undecodable(ValueError):
    """Nothing of this plays in the format that it is said to have; says why."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What plays. `sample_rate` in Hz; Opus always plays at 48,000 (RFC 7845). `codec` is FFmpeg's name."""

    seconds: float
    sample_rate: int
    channels: int
    codec: str


def decode(data: bytes, response_format: str) -> Decoded:
    """Decode all of it and say how much there was.

    What is cut short plays for shorter, and what lacks a piece lacks its time; whether the bytes are the right ones
    is for others to judge. PCM has no form that could be wrong: all of it plays. Raises Undecodable where nothing
    plays, CodecMissing where the format needs PyAV, ValueError for a format that the API does not have.
    """
    if response_format == "pcm":
        if len(data) < 2:
            raise Undecodable(f"pcm: {len(data)} bytes hold no sample")
        return Decoded(len(data) // 2 / SAMPLE_RATE, SAMPLE_RATE, 1, "pcm_s16le")
    if response_format == "wav":
        return _wav(data)
    if response_format in DEMUXERS:
        return _compressed(data, response_format)
    raise ValueError(f"response_format is {response_format!r}: choose one of {', '.join(DEMUXERS)}, wav, pcm")


def _wav(data: bytes) -> Decoded:
    """By the samples that are there: the header's count is that of the whole, or unknown (0xFFFFFFFF)."""
    try:
        with wave.open(io.BytesIO(data)) as file:
            rate, channels, width = file.getframerate(), file.getnchannels(), file.getsampwidth()
            samples = len(file.readframes(file.getnframes())) // (channels * width)
    except (wave.Error, EOFError, RuntimeError) as error:  # RuntimeError: a length in it leads out of the file
        raise _undecodable(data, "wav", str(error) or "it ends within the header") from error
    if not samples or not rate:
        raise _undecodable(data, "wav", "no sample follows the header")
    return Decoded(samples / rate, rate, channels, "pcm_u8" if width == 1 else f"pcm_s{8 * width}le")


def _compressed(data: bytes, response_format: str) -> Decoded:
    av = pyav.load(response_format)
    samples = rate = channels = played = 0
    reason: object = "no frame in it"
    try:
        with av.open(io.BytesIO(data), format=DEMUXERS[response_format]) as file:
            if not file.streams.audio:
                raise _undecodable(data, response_format, reason)
            stream = file.streams.audio[0]
            codec = str(stream.codec_context.codec.canonical_name)
            if codec != response_format:
                raise _undecodable(data, response_format, f"it is {codec}")
            for packet in file.demux(stream):
                try:
                    frames = packet.decode()
                except av.error.FFmpegError as error:  # a frame that is cut or spoilt; those after it may play
                    reason = error
                    continue
                for frame in frames:
                    samples, rate, channels = samples + frame.samples, frame.sample_rate, frame.layout.nb_channels
                played += packet.size if frames else 0
    except av.error.FFmpegError as error:
        # Not even a container, or its end is cut. EOF is how FFmpeg says that it looked for one to the end.
        reason = "no frame in it" if isinstance(error, EOFError) else error
    if not samples or not rate:
        raise _undecodable(data, response_format, reason)
    if response_format in WITHOUT_CHECKSUM and 2 * played < len(data):
        raise _undecodable(data, response_format, f"only {played} bytes look like frames")
    return Decoded(samples / rate, rate, channels, codec)


def _undecodable(data: bytes, response_format: str, reason: object) -> Undecodable:
    text = getattr(reason, "strerror", None) or reason
    begins = f", beginning with {data[:16]!r}" if data else ""
    return Undecodable(f"{response_format}: {text} ({len(data)} bytes{begins})")

"""The formats of a speech, a row each: its content type, its pieces, and who encodes it. Pure.

docs/adding-a-format.md adds one.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Codec:
    """FFmpeg's names for a format. `bit_rate` in bits a second, 0 where the codec is lossless.

    A codec that `runs_in` plays silence first and whole frames only, so up to three frames more than the source.
    """

    muxer: str
    encoder: str
    bit_rate: int = 0
    muxer_options: tuple[tuple[str, str], ...] = ()
    encoder_options: tuple[tuple[str, str], ...] = ()
    runs_in: bool = False


@dataclass(frozen=True, slots=True)
class Format:
    """`piece`: samples between two cuts, a codec's frame, an Ogg page or 20 ms. No codec: the samples themselves."""

    content_type: str
    piece: int
    codec: Codec | None = None


FORMATS: dict[str, Format] = {
    "mp3": Format(
        "audio/mpeg",
        576,
        Codec(
            muxer="mp3",
            encoder="libmp3lame",
            bit_rate=64_000,
            muxer_options=(("id3v2_version", "0"), ("write_xing", "0")),
            encoder_options=(("compression_level", "9"),),  # LAME's fastest, twice as fast as its default
            runs_in=True,
        ),
    ),
    "opus": Format(
        "audio/opus",
        2400,
        Codec(
            muxer="ogg",
            encoder="libopus",
            bit_rate=32_000,
            muxer_options=(("page_duration", "100000"),),  # FFmpeg's whole second would hold back the first sound
            encoder_options=(("compression_level", "5"),),
        ),
    ),
    "aac": Format("audio/aac", 1024, Codec(muxer="adts", encoder="aac", bit_rate=64_000, runs_in=True)),
    "flac": Format(
        "audio/flac",
        576,
        Codec(
            muxer="flac",
            encoder="flac",
            muxer_options=(("metadata_header_padding", "0"),),  # no 8 KB of zeros before the first sound
            encoder_options=(("compression_level", "0"),),  # frames of 24 ms; by default they have 96
        ),
    ),
    "wav": Format("audio/wav", 480),
    "pcm": Format("audio/pcm", 480),
}
"""By the name that a request gives as its `response_format`."""

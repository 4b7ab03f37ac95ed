"""What to say, and how: one request's speech, before there is any audio of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from fake_upstream import formats

FORMATS = tuple(formats.FORMATS)
SLOWEST, FASTEST = 0.25, 4.0


@dataclass(frozen=True, slots=True)
class Speech:
    """What to say, and how. Raises ValueError for a format or a speed that the API does not have, or no text."""

    text: str
    voice: str = "alloy"
    response_format: str = "mp3"
    speed: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or not isinstance(self.voice, str):
            raise ValueError("text and voice are texts")
        if not self.text:
            raise ValueError("text is empty: give one character at least")
        if self.response_format not in FORMATS:
            raise ValueError(f"response_format is {self.response_format!r}: choose one of {', '.join(FORMATS)}")
        if (
            isinstance(self.speed, bool)
            or not isinstance(self.speed, int | float)
            or not SLOWEST <= self.speed <= FASTEST
        ):
            raise ValueError(f"speed is {self.speed!r}: give a number from {SLOWEST} to {FASTEST}")

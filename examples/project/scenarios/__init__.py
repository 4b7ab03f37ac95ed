"""This project's own scenarios: voices that its tests go through."""

VOICES = ("alloy", "nova")

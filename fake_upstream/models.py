"""The models that the service lists. Pure. Source: OpenAI API reference, "List models" and "Retrieve model"."""

from __future__ import annotations

from typing import Any

CREATED = {"tts-1": 1_681_940_951, "tts-1-hd": 1_699_046_015, "gpt-4o-mini-tts": 1_742_403_959}
"""When each listed model was made, in Unix seconds."""
OTHERS = 1_700_000_000


def model(name: str) -> dict[str, Any]:
    """One model. There is one of any name, as speech accepts any."""
    return {"id": name, "object": "model", "created": CREATED.get(name, OTHERS), "owned_by": "system"}


def listed() -> dict[str, Any]:
    """All that have a name of OpenAI's."""
    return {"object": "list", "data": [model(name) for name in CREATED]}

"""The JSON Schema (2020-12) of a script, made from its dataclasses. Pure.

`python -m fake_upstream.script_schema` writes it to script.schema.json beside this file, which is what is published.
It says what each field may hold; what the fields say of one another, `script_from_json` checks. It refuses nothing
that can be played.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, fields
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from fake_upstream.script import LONGEST, MOST_CHUNKS, Chunk, Early, Ending, Script, Step
from fake_upstream.utterance import FASTEST, FORMATS, SLOWEST, Speech

FILE = Path(__file__).with_name("script.schema.json")
NAMES = r"^[\u0001-\u0009\u000b\u000c\u000e-\u001f\u0021-\u0039\u003b-\u00ff]+$"
VALUES = r"^[\u0001-\u0009\u000b\u000c\u000e-\u00ff]*$"
LIMITS: dict[str, dict[str, Any]] = {
    "Script.status": {"minimum": 200, "maximum": 599},
    "Script.seed": {"minimum": 0},
    "Script.missing": {"minimum": 0},
    "Script.content_type": {"pattern": VALUES},
    "Step.after": {"minimum": 0, "maximum": LONGEST},
    "Chunk.after": {"minimum": 0, "maximum": LONGEST},
    "Chunk.size": {"minimum": 1},
    "Early.after": {"minimum": 0, "maximum": LONGEST},
    "Early.status": {"minimum": 100, "maximum": 199, "not": {"const": 101}},
    "Ending.after": {"minimum": 0, "maximum": LONGEST},
    "Speech.text": {"minLength": 1},
    "Speech.response_format": {"enum": [*FORMATS]},
    "Speech.speed": {"minimum": SLOWEST, "maximum": FASTEST},
}
"""What a type does not say, by class and field."""
HEADERS = {
    "description": "Header fields by name, or as a list of [name, value].",
    "oneOf": [
        {"type": "object", "propertyNames": {"pattern": NAMES}, "additionalProperties": {"$ref": "#/$defs/value"}},
        {
            "type": "array",
            "items": {
                "type": "array",
                "prefixItems": [{"$ref": "#/$defs/name"}, {"$ref": "#/$defs/value"}],
                "minItems": 2,
                "maxItems": 2,
            },
        },
    ],
}


def script_schema() -> dict[str, Any]:
    """The schema of what `script_from_json` reads."""
    chunk = _object(Chunk)
    chunk["properties"]["times"] = {
        "description": "How many such chunks stand one behind the other.",
        "type": "integer",
        "minimum": 1,
        "maximum": MOST_CHUNKS,
        "default": 1,
    }
    ending = _object(Ending)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A script of streamproof's fake upstream",
        **_object(Script),
        "$defs": {
            "name": {"type": "string", "pattern": NAMES},
            "value": {"type": "string", "pattern": VALUES},
            "headers": HEADERS,
            "Step": _object(Step),
            "Chunk": chunk,
            "Early": _object(Early),
            "Ending": {
                "description": "How the response ends, or just its kind.",
                "oneOf": [ending, {"enum": ending["properties"]["kind"]["enum"]}],
            },
            "Speech": _object(Speech),
        },
    }


def text() -> str:
    """The schema as it is published."""
    return json.dumps(script_schema(), indent=2) + "\n"


def _object(kind: type) -> dict[str, Any]:
    """An object with the fields of a dataclass and no others."""
    hints = get_type_hints(kind)
    required = [field.name for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING]
    properties = {}
    for field in fields(kind):
        plain = {"default": field.default} if isinstance(field.default, str | int | float) else {}
        properties[field.name] = {
            **_type(hints[field.name]),
            **LIMITS.get(f"{kind.__name__}.{field.name}", {}),
            **plain,
        }
    return {
        "description": " ".join((kind.__doc__ or "").partition("\n\n")[0].split()),
        "type": "object",
        "properties": properties,
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


def _type(hint: Any) -> dict[str, Any]:
    """What JSON has for a field's type. Raises TypeError for one that it does not know."""
    simple = {bool: "boolean", int: "integer", float: "number", str: "string"}
    if hint in simple:
        return {"type": simple[hint]}
    if hint in (Step, Chunk, Early, Ending, Speech):
        return {"$ref": f"#/$defs/{hint.__name__}"}
    if get_origin(hint) is Literal:
        return {"enum": [*get_args(hint)]}
    if hint == tuple[tuple[str, str], ...]:
        return {"$ref": "#/$defs/headers"}
    if get_origin(hint) is tuple and get_args(hint)[1:] == (...,):
        return {"type": "array", "items": _type(get_args(hint)[0])}
    if get_origin(hint) is UnionType:
        return {"anyOf": [{"type": "null"} if each is type(None) else _type(each) for each in get_args(hint)]}
    raise TypeError(f"a script field is a {hint}: say in fake_upstream/script_schema.py what JSON has for it")


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")

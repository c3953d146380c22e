"""A schema by a stranger, made harmless: nothing of it may cost us time or room."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

MOST_CHARACTERS = 20_000  # of JSON; every prompt holds all schemas
# Patterns are programs: some take hours for thirty letters. The server checks them itself.
DROPPED = frozenset({"pattern", "patternProperties", "$schema", "$id", "$anchor"})
NAMED = frozenset({"properties", "$defs", "definitions", "dependentSchemas"})  # names to schemas
REFERENCES = frozenset({"$ref", "$dynamicRef"})
VALUES = frozenset({"enum", "const", "default", "examples"})  # hold no schemas


def tamed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema of arguments without what could be used against us; raises ValueError."""
    try:
        found = _tamed(schema)
        size = len(json.dumps(found))
    except RecursionError as error:
        raise ValueError("its schema is nested too deeply") from error
    if size > MOST_CHARACTERS:
        raise ValueError("its schema is too long")
    if not isinstance(found, dict) or found.get("type") != "object":
        raise ValueError("its arguments are no object")
    return found


def _tamed(node: Any) -> Any:
    if isinstance(node, list):
        return [_tamed(one) for one in node]
    if not isinstance(node, Mapping):
        return node
    # Names that a pattern would have allowed must not be forbidden now.
    dropped = DROPPED | ({"additionalProperties"} if "patternProperties" in node else set())
    return {key: _value(key, value) for key, value in node.items() if key not in dropped}


def _value(key: str, value: Any) -> Any:
    if key in REFERENCES and not str(value).startswith("#"):
        raise ValueError("its schema refers to another document")
    if key in NAMED and isinstance(value, Mapping):
        return {name: _tamed(schema) for name, schema in value.items()}
    return value if key in VALUES else _tamed(value)

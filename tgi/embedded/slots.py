"""Reads a JSON schema: its parts, their types, and the words that name them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tgi.embedded.words import STOP, fold, stem, words

Schema = Mapping[str, Any]

NAME_PART = re.compile(r"[^\W_]+?(?=[A-Z][a-z])|[^\W_]+")  # max_tokens, maxTokens
MAX_REFERENCES = 16


@dataclass(frozen=True, slots=True)
class Slot:
    """One property, as a place for a value."""

    name: str
    schema: Schema
    required: bool
    label: frozenset[str]  # stems of its name
    about: frozenset[str]  # stems of its description
    spoken: frozenset[str]  # words of its name


def slot(name: str, schema: Schema, required: bool) -> Slot:
    """Return the slot of a property, its schema resolved."""
    spoken = frozenset(fold(part) for part in NAME_PART.findall(name))
    described = words(str(schema.get("description") or ""))
    about = frozenset(word.stem for word in described if fold(word.text) not in STOP)
    return Slot(name, schema, required, frozenset(stem(part) for part in spoken), about, spoken)


def resolve(schema: Any, root: Schema) -> Schema:
    """Return `schema` with a local $ref followed and the first usable alternative chosen.

    Raises ValueError for a reference that leaves the document or goes in circles.
    """
    for _ in range(MAX_REFERENCES):
        if not isinstance(schema, Mapping):
            return {}
        if "$ref" in schema:
            path = str(schema["$ref"])
            if not path.startswith("#/"):
                raise ValueError(f"the schema refers to {path}, outside of itself")
            target: Any = root
            for step in path[2:].split("/"):
                key = step.replace("~1", "/").replace("~0", "~")
                target = target.get(key) if isinstance(target, Mapping) else None
            schema = target
            continue
        options = schema.get("anyOf") or schema.get("oneOf")
        if options and "type" not in schema:
            usable = [
                o for o in options if not (isinstance(o, Mapping) and o.get("type") == "null")
            ]
            described = {key: schema[key] for key in ("description", "title") if key in schema}
            schema = {**described, **resolve((usable or options)[0], root)}
            continue
        return schema
    raise ValueError("the schema refers to itself without end")


def type_of(schema: Schema) -> str:
    """Return the JSON type that a schema asks for; "string" when it says nothing."""
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if kind is None:
        kind = "object" if "properties" in schema else "array" if "items" in schema else "string"
    return {"dict": "object", "float": "number", "tuple": "array"}.get(str(kind), str(kind))

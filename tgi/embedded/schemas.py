"""Answers in a given form: JSON that fits a schema, or text that fits a pattern."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema
from referencing import Registry
from referencing.exceptions import Unresolvable

from tgi.embedded.filling import fill
from tgi.embedded.patterns import fits
from tgi.embedded.slots import Schema, resolve, type_of
from tgi.embedded.values import mentions, number

MAX_WINDOW_WORDS = 12  # of a stretch that is tried against a pattern
MAX_DEPTH = 16
_WORD = re.compile(r"\S+")


def _check_pattern(
    validator: Any, pattern: str, made: Any, schema: Schema
) -> Iterator[jsonschema.ValidationError]:
    if isinstance(made, str) and not fits(pattern, made):
        yield jsonschema.ValidationError(f"{made!r} does not match {pattern!r}")


def _check_properties(
    validator: Any, patterns: Mapping[str, Any], made: Any, schema: Schema
) -> Iterator[jsonschema.ValidationError]:
    for pattern, part in patterns.items():
        for name, value in made.items() if isinstance(made, dict) else ():
            if fits(pattern, name):
                yield from validator.descend(value, part, path=name, schema_path=pattern)


# jsonschema itself would use Python's engine, which a hostile pattern can keep busy for ever.
_Validator = jsonschema.validators.extend(  # type: ignore[no-untyped-call]  # has no types
    jsonschema.Draft202012Validator,
    {"pattern": _check_pattern, "patternProperties": _check_properties},
)


def instance(schema: Schema, text: str) -> str:
    """Return JSON that fits `schema`, filled from `text`; what the text leaves open stays empty.

    Empty is null, "", false or [], whichever the schema allows; a number is never made up.
    Raises ValueError when no honest instance fits.
    """
    made = _make(schema, text, schema, 0)
    check(made, schema)
    return json.dumps(made, ensure_ascii=False, separators=(",", ":"))


def check(made: Any, schema: Schema) -> None:
    """Raise ValueError unless `made` fits `schema`. Nothing is fetched for a reference."""
    try:
        # Without a registry of our own, jsonschema would fetch remote references.
        validator = _Validator(_spoken(schema), registry=Registry())
        problem = jsonschema.exceptions.best_match(validator.iter_errors(made))
    except (
        jsonschema.SchemaError,
        jsonschema.exceptions.UnknownType,
        Unresolvable,
        re.error,
        TypeError,
        RecursionError,
    ) as error:
        raise ValueError(f"the schema cannot be used: {error}") from error
    if problem is not None:
        where = "/".join(str(step) for step in problem.absolute_path) or "the answer"
        raise ValueError(f"the text does not say what {where} should be: {problem.message}")


def matching(pattern: str, text: str) -> str:
    """Return the last, longest stretch of words in `text` that fits `pattern` as a whole.

    Raises ValueError when nothing fits, or when the pattern needs look-around.
    """
    whole = f"^(?:{pattern})$"
    for stretch in _stretches(text):
        if fits(whole, stretch):
            return stretch
    raise ValueError("nothing in the text fits the pattern")


def _stretches(text: str) -> Iterator[str]:
    found = list(_WORD.finditer(text))
    for last in range(len(found) - 1, -1, -1):
        for first in range(max(0, last - MAX_WINDOW_WORDS + 1), last + 1):
            stretch = text[found[first].start() : found[last].end()]
            yield stretch
            bare = stretch.strip(" \t\n.,;:!?\"'()[]“”‘’")
            if bare and bare != stretch:
                yield bare


def _make(schema: Any, text: str, root: Schema, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise ValueError("the schema is nested too deeply")
    nullable = _allows_null(schema)
    part = resolve(schema, root)
    if "const" in part:
        return part["const"]
    kind = type_of(part)
    if kind == "object":
        return _object(part, text, root, depth)
    if kind != "string" or "enum" in part:
        found = fill({"properties": {"value": part}}, text, root).values.get("value")
        if found is not None:
            return found
    if "default" in part:
        return part["default"]
    if nullable:
        return None
    return _plain(part, kind, text)


def _object(part: Schema, text: str, root: Schema, depth: int) -> dict[str, Any]:
    filled = fill(part, text, root)
    made: dict[str, Any] = {}
    required = part.get("required") or ()
    for name, inner in (part.get("properties") or {}).items():
        if name in filled.values:
            made[name] = filled.values[name]
        elif name in required:
            made[name] = _empty(inner, text, root, depth)
    return made


def _empty(schema: Any, text: str, root: Schema, depth: int) -> Any:
    """Return what stands for "the text does not say"."""
    part = resolve(schema, root)
    if _allows_null(schema):
        return None
    if "default" in part:
        return part["default"]
    kind = type_of(part)
    if kind == "object":
        return _make(part, text, root, depth + 1)
    return {"array": [], "boolean": False, "string": "", "null": None}.get(kind)


def _plain(part: Schema, kind: str, text: str) -> Any:
    if kind in ("number", "integer"):
        values = [number(one.value) for one in mentions(text) if one.kind == "number"]
        return next((value for value in values if value is not None), None)
    return text.strip() if kind == "string" else {"array": [], "boolean": False}.get(kind)


def _allows_null(schema: Any) -> bool:
    if not isinstance(schema, Mapping):
        return False
    kinds = schema.get("type")
    options = [*(schema.get("anyOf") or ()), *(schema.get("oneOf") or ())]
    return (
        kinds == "null"
        or (isinstance(kinds, list) and "null" in kinds)
        or any(_allows_null(option) for option in options)
        or None in (schema.get("enum") or ())
    )


def _spoken(schema: Any) -> Any:
    """Return a schema with the type names that function-calling data sets use made standard."""
    if isinstance(schema, Mapping):
        names = {"dict": "object", "float": "number", "tuple": "array", "any": None}
        copy = {key: _spoken(value) for key, value in schema.items()}
        kind = copy.get("type")
        if isinstance(kind, str) and kind in names:
            copy["type"] = names[kind]
            if names[kind] is None:
                del copy["type"]
        return copy
    return [_spoken(part) for part in schema] if isinstance(schema, list) else schema

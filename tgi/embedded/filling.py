"""Fills a JSON schema out of a text, with nothing that the text does not say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tgi.embedded.assigning import FREE_TEXT, assign, typed
from tgi.embedded.clauses import clause
from tgi.embedded.slots import NAME_PART, Schema, Slot, resolve, slot, type_of
from tgi.embedded.values import mentions
from tgi.embedded.words import STOP, fold, listed, stem, words

MAX_DEPTH = 8  # of objects in objects

_FLAGS = listed("include is has enable show get use return with allow")
_LEAD = re.compile(
    r"^(?:please|hi|hello|hey|can you|could you|would you|i (?:want|need|would like)(?: you)? to"
    r"|search (?:for|the \w+ for)|look up|find(?: me| out)?|tell me(?: about)?|show me|get me"
    r"|what is|what's|what are|who is|google)\b[\s,:]*",
    re.IGNORECASE,
)
_NEGATED = re.compile(r"\b(?:not|no|without|don['’]t|disable|off|exclude|never)\b", re.IGNORECASE)
_BINDS = re.compile(
    r"\s{0,4}(?:is|are|=|:|of|to|as|called|named|titled|should be|set to|about|for)?\s{0,4}"
    r"(?:the |a |an )?([^\s,;.!?][^,;.!?\n]{0,80}?)"
    r"(?=\s{1,4}(?:and|with|in|on|at|for|from|to|by)\s|[,;!?\n]|\.(?:\s|$)|$)",
    re.IGNORECASE,
)


@dataclass(slots=True)
class Filled:
    """Values found for an object, and the required ones that were not."""

    values: dict[str, Any] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


def fill(schema: Schema, text: str, root: Schema | None = None, depth: int = 0) -> Filled:
    """Return what `text` says about each property of an object schema.

    Enumerations and constants are taken when they are named (or cannot be otherwise), booleans
    when their name is mentioned, numbers, dates, ids, names and quotations by the words beside
    them; each stated value is used once.
    """
    root = root or schema
    required = schema.get("required") or ()
    slots = [
        slot(name, resolve(part, root), required=name in required)
        for name, part in (schema.get("properties") or {}).items()
    ]
    values: dict[str, Any] = {}
    for one in slots:
        value = _named_value(one, text, root, depth)
        if value is None:
            value = clause(one, text)
        if value is not None:
            values[one.name] = value
    open_slots = [one for one in slots if one.name not in values and "enum" not in one.schema]
    told = {fold(str(part)) for value in values.values() for part in _parts(value)}
    spent = [mention for mention in mentions(text) if fold(mention.value) in told]
    values.update(assign(open_slots, text, spent))
    for one in open_slots:
        if one.name not in values and one.required:
            value = _phrase(one, text)
            if value is not None:
                values[one.name] = value
    return Filled(
        {one.name: values[one.name] for one in slots if one.name in values},
        [name for name in required if name not in values],
    )


def mentioned(options: Sequence[Any], text: str) -> list[Any]:
    """Return the options that `text` names, in the order it names them."""
    folded = f" {' '.join(word.stem for word in words(text))} "
    found = []
    for option in options:
        stems = " ".join(stem(part) for part in NAME_PART.findall(str(option)))
        at = folded.find(f" {stems} ") if stems else -1
        if at >= 0:
            found.append((at, -len(stems), option))
    found.sort(key=lambda one: one[:2])
    return [option for _, _, option in found]


def _named_value(one: Slot, text: str, root: Schema, depth: int) -> Any:
    """Return a value that the schema itself names, or that has parts of its own."""
    schema = one.schema
    kind = type_of(schema)
    if "const" in schema:
        return schema["const"]
    if isinstance(options := schema.get("enum"), list):
        named = mentioned([option for option in options if option is not None], text)
        return named[0] if named else None
    if kind == "boolean":
        return _truth(one, text)
    if kind == "object" and depth < MAX_DEPTH and schema.get("properties"):
        inner = fill(schema, text, root, depth + 1)
        return inner.values if inner.values and not inner.missing else None
    if kind == "array":
        return _many(one, text, root)
    return None


def _truth(one: Slot, text: str) -> bool | None:
    label = {stem(part) for part in one.spoken if part not in STOP and part not in _FLAGS}
    named = next((word for word in words(text) if word.stem in label), None)
    if named is None:
        return None
    clause = re.split(r"[.;,!?]\s", text[max(0, named.start - 40) : named.start])[-1]
    return _NEGATED.search(clause) is None


def _many(one: Slot, text: str, root: Schema) -> list[Any] | None:
    items = resolve(one.schema.get("items") or {}, root)
    kind = type_of(items)
    if isinstance(options := items.get("enum"), list):
        return mentioned(options, text) or None
    if kind in ("number", "integer"):
        found = [m for m in mentions(text) if m.kind == "number"]
        values = [v for m in found if (v := typed(m, items)) is not None]
        return values or None
    if kind == "string":
        said = mentions(text)
        quoted = [m.value for m in said if m.kind == "quoted"]
        if not one.required and not (one.label & {word.stem for word in words(text)}):
            return quoted or None
        names = [
            part
            for m in said
            if m.kind in ("name", "id", "email", "url")
            for part in re.split(r",\s*|\s+and\s+", m.value)
        ]
        return quoted or (names if len(names) > 1 else None)
    return None


def _phrase(one: Slot, text: str) -> str | None:
    """Return the words that stand behind the property's name, or the whole request for a query."""
    schema = one.schema
    if type_of(schema) != "string" or {"format", "pattern"} & set(schema):
        return None
    if one.spoken & FREE_TEXT:
        told = re.search(
            rf"\b(?:{'|'.join(map(re.escape, sorted(one.spoken)))})\b[\s:–-]+", text, re.I
        )
        if told and text[told.end() :].strip():
            return text[told.end() :].strip().rstrip(" ?!.")
        asked = text.strip()
        while (shorter := _LEAD.sub("", asked, count=1)) != asked:
            asked = shorter
        return asked.rstrip(" ?!.") or None
    label = {part for part in one.label if part not in ("id", "name")} or one.label
    for word in words(text):
        if word.stem in label:
            bound = _BINDS.match(text, word.start + len(word.text))
            if bound and fold(bound.group(1)) not in STOP:
                return bound.group(1).strip(" '\"")
    return None


def _parts(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]

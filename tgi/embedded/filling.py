"""Fills a JSON schema out of a text, with nothing that the text does not say."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tgi.embedded.values import Mention, MentionKind, iso_date, mentions, number
from tgi.embedded.words import STOP, fold, listed, stem, words

Schema = Mapping[str, Any]

_SPLIT_NAME = re.compile(r"[^\W_]+?(?=[A-Z][a-z])|[^\W_]+")
_FREE_TEXT = listed(
    "query question text message content prompt search keyword keywords topic input"
)
_PLACES = listed("city location place country state region address destination origin where town")
_NAMED = listed("name person artist author company brand team title user event")
_FROM = listed("from origin source start departure departing begin")
_TO = listed("to destination target end arrival arriving until")
_FLAGS = listed("include is has enable show get use return with allow")
_LEAD = re.compile(
    r"^(?:please|hi|hello|hey|can you|could you|would you|i (?:want|need|would like)(?: you)? to"
    r"|search (?:for|the \w+ for)|look up|find(?: me| out)?|tell me(?: about)?|show me|get me"
    r"|what is|what's|what are|who is|google)\b[\s,:]*",
    re.IGNORECASE,
)
_NEGATED = re.compile(r"\b(?:not|no|without|don['’]t|disable|off|exclude|never)\b", re.IGNORECASE)
_BINDS = re.compile(
    r"\s*(?:is|are|=|:|of|to|as|called|named|titled|should be|set to|about|for)?\s*"
    r"(?:the |a |an )?([^\s,;.!?][^,;.!?\n]*?)(?=\s+(?:and|with|in|on|at|for|from|to|by)\s|[,;!?\n]"
    r"|\.(?:\s|$)|$)",
    re.IGNORECASE,
)
NEAR = 6  # words between a value and what names it
STATED = 0.35  # an optional value must be this clearly meant


@dataclass(slots=True)
class Filled:
    """Values found for an object, and the required ones that were not."""

    values: dict[str, Any] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Slot:
    name: str
    schema: Schema
    required: bool
    label: frozenset[str]  # stems of its name
    about: frozenset[str]  # stems of its description
    spoken: frozenset[str]  # words of its name


def fill(schema: Schema, text: str, root: Schema | None = None) -> Filled:
    """Return what `text` says about each property of an object schema.

    Enumerations and constants are taken when they are named (or cannot be otherwise), booleans
    when their name is mentioned, numbers, dates, ids, names and quotations by the words beside
    them; each stated value is used once.
    """
    root = root or schema
    required = schema.get("required") or ()
    slots = [
        _slot(name, resolve(part, root), name in required)
        for name, part in (schema.get("properties") or {}).items()
    ]
    filled = Filled()
    spent: list[Mention] = []
    open_slots = []
    for slot in slots:
        value = _named_value(slot, text, root)
        if value is None:
            open_slots.append(slot)
        else:
            filled.values[slot.name] = value
            chosen = value if isinstance(value, list) else [value]
            spent += [m for m in mentions(text) if fold(m.value) in {fold(str(v)) for v in chosen}]
    _match(open_slots, text, filled, spent)
    for slot in open_slots:
        if slot.name not in filled.values and slot.required:
            value = _phrase(slot, text, alone=len(slots) == 1)
            if value is not None:
                filled.values[slot.name] = value
    filled.values = {
        slot.name: filled.values[slot.name] for slot in slots if slot.name in filled.values
    }
    filled.missing = [name for name in required if name not in filled.values]
    return filled


def resolve(schema: Any, root: Schema) -> Schema:
    """Return `schema` with a local $ref followed and the first usable alternative chosen.

    Raises ValueError for a reference that leaves the document or goes in circles.
    """
    for _ in range(16):
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


def mentioned(options: Sequence[Any], text: str) -> list[Any]:
    """Return the options that `text` names, in the order it names them."""
    folded = f" {' '.join(word.stem for word in words(text))} "
    found = []
    for option in options:
        stems = " ".join(stem(part) for part in _SPLIT_NAME.findall(str(option)))
        at = folded.find(f" {stems} ") if stems else -1
        if at >= 0:
            found.append((at, -len(stems), option))
    found.sort(key=lambda one: one[:2])
    return [option for _, _, option in found]


def _slot(name: str, schema: Schema, required: bool) -> _Slot:
    spoken = frozenset(fold(part) for part in _SPLIT_NAME.findall(name))
    described = words(str(schema.get("description") or ""))
    about = frozenset(word.stem for word in described if fold(word.text) not in STOP)
    return _Slot(name, schema, required, frozenset(stem(part) for part in spoken), about, spoken)


def _named_value(slot: _Slot, text: str, root: Schema) -> Any:
    """Return a value that the schema itself names, or that has parts of its own."""
    schema = slot.schema
    kind = type_of(schema)
    if "const" in schema:
        return schema["const"]
    if isinstance(options := schema.get("enum"), list):
        named = mentioned([option for option in options if option is not None], text)
        return named[0] if named else None
    if kind == "boolean":
        return _truth(slot, text)
    if kind == "object" and schema.get("properties"):
        inner = fill(schema, text, root)
        return inner.values if inner.values and not inner.missing else None
    if kind == "array":
        return _many(slot, text, root)
    return None


def _truth(slot: _Slot, text: str) -> bool | None:
    label = {stem(part) for part in slot.spoken if part not in STOP and part not in _FLAGS}
    said = words(text)
    for at, word in enumerate(said):
        if word.stem in label:
            before = " ".join(other.text for other in said[max(0, at - 4) : at])
            return _NEGATED.search(before) is None
    return None


def _many(slot: _Slot, text: str, root: Schema) -> list[Any] | None:
    items = resolve(slot.schema.get("items") or {}, root)
    kind = type_of(items)
    if isinstance(options := items.get("enum"), list):
        return mentioned(options, text) or None
    if kind in ("number", "integer"):
        found = [m for m in mentions(text) if m.kind in ("number", "id")]
        values = [v for m in found if (v := _typed(m, items)) is not None]
        return values or None
    if kind == "string":
        said = mentions(text)
        quoted = [m.value for m in said if m.kind == "quoted"]
        names = [
            part
            for m in said
            if m.kind in ("name", "id", "email", "url")
            for part in re.split(r",\s*|\s+and\s+", m.value)
        ]
        return quoted or (names if len(names) > 1 else None)
    return None


def _match(slots: Sequence[_Slot], text: str, filled: Filled, spent: list[Mention]) -> None:
    """Give each stated value to the property it is most clearly meant for, best pair first."""
    said = [mention for mention in mentions(text) if mention not in spent]
    scored = []
    for order, slot in enumerate(slots):
        for place, mention in enumerate(said):
            score = _fit(slot, mention, text)
            if score is not None and (slot.required or score >= STATED):
                scored.append((-score, not slot.required, place, order))
    for _, _, place, order in sorted(scored):
        slot, mention = slots[order], said[place]
        if slot.name in filled.values or mention in spent:
            continue
        value = _typed(mention, slot.schema)
        if value is not None:
            filled.values[slot.name] = value
            spent.append(mention)


def _fit(slot: _Slot, mention: Mention, text: str) -> float | None:
    """Return how clearly `mention` is meant for `slot`; None when it cannot be."""
    base = _kind_fit(slot, mention.kind)
    if base is None or _typed(mention, slot.schema) is None:
        return None
    before = words(text[: mention.start])[-NEAR:]
    after = words(text[mention.stop :])[: NEAR // 2]
    score = base
    for distance, word in enumerate(reversed(before), 1):
        score += _closeness(slot, word.stem) / distance
    for distance, word in enumerate(after, 1):
        score += 0.8 * _closeness(slot, word.stem) / distance
    last = fold(before[-1].text) if before else ""
    if (last == "from" and slot.spoken & _FROM) or (last == "to" and slot.spoken & _TO):
        score += 1.0
    if (last == "from" and slot.spoken & _TO) or (last == "to" and slot.spoken & _FROM):
        score -= 0.5
    if last in ("in", "at", "near", "around") and slot.spoken & _PLACES:
        score += 0.5
    return score


def _closeness(slot: _Slot, said: str) -> float:
    return 1.0 if said in slot.label else 0.4 if said in slot.about else 0.0


def _kind_fit(slot: _Slot, kind: MentionKind) -> float | None:
    schema, wanted = slot.schema, type_of(slot.schema)
    if wanted in ("number", "integer"):
        return 0.1 if kind == "number" else 0.0 if kind in ("id", "quoted") else None
    if wanted != "string":
        return None
    described = f"{slot.name} {schema.get('format') or ''}".casefold()
    for special in ("email", "date"):
        if special in described:
            return 1.0 if kind == special else None
    if "url" in described or "uri" in described:
        return 1.0 if kind == "url" else None
    if "id" in slot.spoken or "number" in slot.spoken or "code" in slot.spoken:
        return {"id": 0.6, "number": 0.3, "quoted": 0.4, "name": -0.2}.get(kind)
    if slot.spoken & _FREE_TEXT:
        return 0.5 if kind == "quoted" else None
    if kind in ("email", "url", "date", "id", "number"):
        return -0.2 if kind in ("id", "date") else None
    if kind == "quoted":
        return 0.4
    return 0.4 if slot.spoken & (_PLACES | _NAMED) else 0.0


def _typed(mention: Mention, schema: Schema) -> Any:
    """Return the mention as the schema's type; None when it does not fit."""
    wanted = type_of(schema)
    if wanted in ("number", "integer"):
        value = number(mention.value.lstrip("#"))
        if value is None or (wanted == "integer" and not value.is_integer()):
            return None
        typed: Any = int(value) if wanted == "integer" or value.is_integer() else value
    else:
        typed = mention.value
        if mention.kind == "date":
            typed = _dated(mention.value, schema)
        if len(typed) < schema.get("minLength", 0) or len(typed) > schema.get("maxLength", 10**9):
            return None
        pattern = schema.get("pattern")
        if isinstance(pattern, str) and not _fits(pattern, typed):
            return None
        return typed
    low, high = schema.get("minimum"), schema.get("maximum")
    out_of_range = (low is not None and typed < low) or (high is not None and typed > high)
    return None if out_of_range else typed


def _dated(written: str, schema: Schema) -> str:
    iso = iso_date(written)
    described = str(schema.get("description") or "").upper()
    if iso is None:
        return written
    if "MM/DD/YYYY" in described:
        return f"{iso[5:7]}/{iso[8:]}/{iso[:4]}"
    return iso if schema.get("format") == "date" or "YYYY-MM-DD" in described else written


def _fits(pattern: str, value: str) -> bool:
    try:
        return re.search(pattern, value) is not None
    except re.error as error:
        raise ValueError(f"the schema holds a pattern that is none: {error}") from error


def _phrase(slot: _Slot, text: str, *, alone: bool) -> str | None:
    """Return the words that stand behind the property's name, or the whole request for a query."""
    schema = slot.schema
    if type_of(schema) != "string" or {"format", "pattern"} & set(schema):
        return None
    if slot.spoken & _FREE_TEXT:
        asked = text.strip()
        while (shorter := _LEAD.sub("", asked, count=1)) != asked:
            asked = shorter
        return asked.rstrip(" ?!.") or None
    label = {part for part in slot.label if part not in ("id", "name")} or slot.label
    for word in words(text):
        if word.stem in label:
            bound = _BINDS.match(text, word.start + len(word.text))
            if bound and fold(bound.group(1)) not in STOP:
                return bound.group(1).strip(" '\"")
    return None

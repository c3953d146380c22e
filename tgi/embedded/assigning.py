"""Gives the values that a text states to the properties they are meant for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tgi.embedded.patterns import fits
from tgi.embedded.slots import Schema, Slot, type_of
from tgi.embedded.values import Mention, MentionKind, iso_date, mentions, number
from tgi.embedded.words import fold, listed, words

FREE_TEXT = listed("query question text message content prompt search keyword keywords topic input")
_PLACES = listed("city location place country state region address destination origin where town")
_NAMED = listed("name person artist author company brand team title user event")
_FROM = listed("from origin source start departure departing begin")
_TO = listed("to destination target end arrival arriving until")
_PAUSE = re.compile(r"[,;.]\s")
_CENTS = re.compile(r"\s*(?:euro\s*)?cents?\b", re.IGNORECASE)
NEAR = 6  # words between a value and what names it
NEAR_CHARACTERS = 120  # and characters: the work for a long text stays linear
STATED = 0.6  # an optional value must be this clearly meant
NEEDED = 0.3  # and a required one this clearly, unless nothing else could be meant
SPELLED = 0.1  # "two" is rarely a value in "the two sides", unless its name is near


def assign(slots: Sequence[Slot], text: str, spent: Sequence[Mention]) -> dict[str, Any]:
    """Return the value of each slot that `text` states one for; each is used once.

    spent: what has been used already.
    """
    said = [mention for mention in mentions(text) if mention not in spent]
    values = _in_order([slot for slot in slots if slot.required], said, text)
    used = [mention for mention, _ in values.values()]
    scored = []
    for order, slot in enumerate(slots):
        for place, mention in enumerate(said):
            score = fit(slot, mention, text)
            if score is not None and score >= _least(slot, mention, slots):
                scored.append((-score, not slot.required, place, order))
    for _, _, place, order in sorted(scored):
        slot, mention = slots[order], said[place]
        if slot.name not in values and mention not in used:
            values[slot.name] = (mention, value_of(slot, mention, text))
            used.append(mention)
    return {name: value for name, (_, value) in values.items()}


def _least(slot: Slot, mention: Mention, slots: Sequence[Slot]) -> float:
    if not slot.required:
        return STATED
    alone = sum(other.required and type_of(other.schema) == type_of(slot.schema) for other in slots)
    if mention.kind == "word":
        return SPELLED
    return -1.0 if alone == 1 else NEEDED


def _in_order(
    slots: Sequence[Slot], said: Sequence[Mention], text: str
) -> dict[str, tuple[Mention, Any]]:
    """Fill numbers that are all named first and stated behind: "base and height as 6 and 10"."""
    wanted = [slot for slot in slots if type_of(slot.schema) in ("number", "integer")]
    stated = [mention for mention in said if mention.kind == "number"]
    if len(wanted) < 2 or len(wanted) != len(stated):
        return {}
    head = [word.stem for word in words(text[: stated[0].start])]
    between = {word.stem for word in words(text[stated[0].stop : stated[-1].start])}
    places = [
        max((at for at, word in enumerate(head) if word in slot.label), default=-1)
        for slot in wanted
    ]
    unnamed = all(place < 0 for place in places)
    named = min(places) >= 0 and len(set(places)) == len(places)
    if any(slot.label & between for slot in wanted) or not (unnamed or named):
        return {}
    ranked = [slot for _, slot in sorted(zip(places, wanted, strict=True), key=lambda one: one[0])]
    return {
        slot.name: (mention, value)
        for slot, mention in zip(ranked, stated, strict=True)
        if (value := value_of(slot, mention, text)) is not None
    }


def fit(slot: Slot, mention: Mention, text: str) -> float | None:
    """Return how clearly `mention` is meant for `slot`; None when it cannot be."""
    base = _kind_fit(slot, mention.kind)
    if base is None or value_of(slot, mention, text) is None:
        return None
    opening = max(0, mention.start - NEAR_CHARACTERS)
    before = words(text[opening : mention.start])[-NEAR:]
    after = words(text[mention.stop : mention.stop + NEAR_CHARACTERS])[: NEAR // 2]
    score = base
    for distance, word in enumerate(reversed(before), 1):
        apart = 0.5 if _PAUSE.search(text, opening + word.start, mention.start) else 1.0
        score += apart * _closeness(slot, word.stem) / distance
    for distance, word in enumerate(after, 1):
        apart = 0.5 if _PAUSE.search(text, mention.stop, mention.stop + word.start) else 1.0
        score += 0.8 * apart * _closeness(slot, word.stem) / distance
    last = fold(before[-1].text) if before else ""
    if (last == "from" and slot.spoken & _FROM) or (last == "to" and slot.spoken & _TO):
        score += 1.0
    if (last == "from" and slot.spoken & _TO) or (last == "to" and slot.spoken & _FROM):
        score -= 0.5
    if last in ("in", "at", "near", "around") and slot.spoken & _PLACES:
        score += 0.5
    return score


def _closeness(slot: Slot, said: str) -> float:
    return 1.0 if said in slot.label else 0.4 if said in slot.about else 0.0


def _kind_fit(slot: Slot, kind: MentionKind) -> float | None:
    schema, wanted = slot.schema, type_of(slot.schema)
    if wanted in ("number", "integer"):
        return {"number": 0.1, "word": -0.3, "id": 0.0, "quoted": 0.0}.get(kind)
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
    if slot.spoken & FREE_TEXT:
        return 0.5 if kind == "quoted" else None
    if kind in ("email", "url", "date", "id", "number", "word"):
        return -0.2 if kind in ("id", "date") else None
    if kind == "quoted":
        return 0.4
    return 0.4 if slot.spoken & (_PLACES | _NAMED) else 0.0


def value_of(slot: Slot, mention: Mention, text: str) -> Any:
    """Return a mention as the value of a property; None when it cannot be.

    Money is counted in the unit that the property is named for: 25.00 are 2500 cents.
    """
    if "cents" in slot.spoken and mention.kind == "number" and not _CENTS.match(text, mention.stop):
        whole = typed(mention, {"type": "number"})
        exact = "" if whole is None else f"{whole * 100:.0f}"
        return typed(mention._replace(value=exact), slot.schema)
    return typed(mention, slot.schema)


def typed(mention: Mention, schema: Schema) -> Any:
    """Return the mention as the schema's type; None when it does not fit."""
    wanted = type_of(schema)
    if wanted in ("number", "integer"):
        value = number(mention.value.lstrip("#"))
        if value is None or (wanted == "integer" and not value.is_integer()):
            return None
        low, high = schema.get("minimum"), schema.get("maximum")
        if (low is not None and value < low) or (high is not None and value > high):
            return None
        return int(value) if value.is_integer() else value
    written = _dated(mention.value, schema) if mention.kind == "date" else mention.value
    pattern = schema.get("pattern")
    if not schema.get("minLength", 0) <= len(written) <= schema.get("maxLength", len(written)):
        return None
    return None if isinstance(pattern, str) and not fits(pattern, written) else written


def _dated(written: str, schema: Schema) -> str:
    iso = iso_date(written)
    described = str(schema.get("description") or "").upper()
    if iso is None:
        return written
    if "MM/DD/YYYY" in described:
        return f"{iso[5:7]}/{iso[8:]}/{iso[:4]}"
    return iso if schema.get("format") == "date" or "YYYY-MM-DD" in described else written

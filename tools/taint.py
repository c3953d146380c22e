"""Where arguments came from: which of the texts that the model has seen say what it asks for.

For the reviewer, who has to know whether "refund 400 to this account" is what the user wants or
what a web page said. It finds what was copied, not what was inferred.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

SHORTEST = 2  # characters: what is shorter is found everywhere
SHOWN = 60  # characters around what was found
LEAVES = 200  # looked at; arguments are small unless somebody plays tricks

Kind = Literal["user", "history", "document", "tool"]


@dataclass(frozen=True, slots=True)
class Text:
    """A text that the model has seen."""

    kind: Kind
    source: str  # URI, name of the tool, or role
    text: str
    untrusted: bool = False  # by strangers


class Found(TypedDict):
    """One place where a value stands."""

    kind: Kind
    source: str
    untrusted: bool
    quote: str


class Origin(TypedDict):
    """One value of the arguments, and where it stands."""

    path: str  # as in "order_id" or "lines.0.article"
    value: str
    found_in: list[Found]  # empty: the model made it up, or worked it out


def origins(arguments: Mapping[str, Any], texts: Sequence[Text]) -> list[Origin]:
    """Return for each value of the arguments the texts in which it stands as a whole word."""
    found: list[Origin] = []
    for path, value in _leaves(arguments, ""):
        written = _written(value)
        if len(found) == LEAVES:
            break
        if written is not None:
            places = [one for text in texts if (one := _look(written, text)) is not None]
            found.append(Origin(path=path, value=written[:200], found_in=places))
    return found


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _leaves(inner, f"{path}.{place}" if path else str(place))
    else:
        yield path, value


def _written(value: Any) -> str | None:
    if isinstance(value, bool) or value is None:
        return None
    text = " ".join(str(value).split())
    return text if len(text) >= SHORTEST else None


def _look(value: str, text: Text) -> Found | None:
    words = r"\s+".join(re.escape(word) for word in value.split(" "))
    pattern = re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE)
    match = pattern.search(text.text)
    if match is None and (amount := _amount(value)):
        match = re.search(rf"(?<![\w.,])(?:{amount})(?![\w])", text.text)
    if match is None:
        return None
    begin, end = max(0, match.start() - SHOWN), match.end() + SHOWN
    quote = " ".join(text.text[begin:end].split())
    return Found(kind=text.kind, source=text.source, untrusted=text.untrusted, quote=quote)


def _amount(value: str) -> str:
    """Return a pattern of cents as people write them: 1999 stands in "19.99" and "19,99"."""
    if not value.isdecimal() or len(value) > 12:
        return ""
    cents = int(value)
    units, rest = divmod(cents, 100)
    return rf"{units}[.,]{rest:02d}" + (rf"|{units}" if rest == 0 and units else "")

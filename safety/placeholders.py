"""What stands in a text in place of something personal, and how it gets back.

A value becomes `<EMAIL_1>`: the same in every message of a conversation, in whatever spelling.
The mapping stays on the server, and only who holds it can restore. What already looks like a
placeholder when a text comes in, because a person or a document wrote it, becomes one itself,
`<WRITTEN_1>`, so that it comes back as it was written and as nobody's value.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from functools import lru_cache

from safety.credentials import Credentials
from safety.fold import fold
from safety.pii import Pii
from safety.units import PLACEHOLDER
from safety.verdict import Edit, Hit, apply

_LITERAL = "WRITTEN"  # no word that announces a number, as "text" does
# Kinds whose spellings differ in blanks, dashes and brackets.
_NUMBERS = frozenset(
    ("PHONE", "CREDIT_CARD", "IBAN", "US_SSN", "NATIONAL_ID", "PASSPORT", "US_DRIVER_LICENSE")
)


class Placeholders:
    """The placeholders of one conversation.

    known: those of before, placeholder to value. key: with one, no value is kept but a keyed
    digest of it (HMAC-SHA-256): numbers stay the same, nothing can be restored.
    """

    def __init__(self, known: Mapping[str, str] | None = None, *, key: bytes | None = None) -> None:
        self._values = dict(known or {})
        self._key = key
        self._by_value: dict[str, str] = {}
        self._last: dict[str, int] = {}
        for placeholder, value in self._values.items():
            match = PLACEHOLDER.fullmatch(placeholder)
            if match is None:
                raise ValueError(f"{placeholder!r} is no placeholder")
            self._last[match[1]] = max(self._last.get(match[1], 0), int(match[2]))
            self._by_value[value if key else self._identity(match[1], value)] = placeholder

    def mask(self, text: str, hits: Iterable[Hit]) -> str:
        """Return `text` with a placeholder for each hit.

        Call it without hits too, for any text that did not come from here: what looks like a
        placeholder in it must not be restored into somebody's value.
        """
        covered: list[tuple[int, int]] = []
        kinds: list[str] = []
        for hit in sorted(hits, key=lambda hit: (hit.start, -hit.end)):
            if hit.is_whole:
                continue
            if covered and hit.start < covered[-1][1]:  # of two detectors: one value
                covered[-1] = (covered[-1][0], max(covered[-1][1], hit.end))
            else:
                covered.append((hit.start, hit.end))
                kinds.append(hit.kind.upper())
        edits = [
            Edit(start, end, self._of(kind, text[start:end]))
            for (start, end), kind in zip(covered, kinds, strict=True)
        ]
        # Where nothing is restored there is nothing to be mistaken for.
        for match in PLACEHOLDER.finditer(text) if self._key is None else ():
            if all(match.end() <= start or end <= match.start() for start, end in covered):
                edits.append(Edit(*match.span(), self._of(_LITERAL, match[0])))
        return apply(text, edits)

    def restore(self, text: str) -> str:
        """Return `text` with the values back, as they were first written.

        Exact placeholders of this conversation only, in one pass: what a value contains is not
        looked at again. With a key, the text as it is.
        """
        if self._key or "<" not in text:
            return text
        return PLACEHOLDER.sub(lambda match: self._values.get(match[0], match[0]), text)

    def to_dict(self) -> dict[str, str]:
        """Return all placeholders with their values, or digests; `Placeholders(...)` takes them."""
        return dict(self._values)

    def _of(self, kind: str, value: str) -> str:
        identity = self._identity(kind, value)
        placeholder = self._by_value.get(identity)
        if placeholder is None:
            number = self._last[kind] = self._last.get(kind, 0) + 1
            placeholder = self._by_value[identity] = f"<{kind}_{number}>"
            self._values[placeholder] = identity if self._key else value
        return placeholder

    def _identity(self, kind: str, value: str) -> str:
        """Return what all spellings of a value have in common."""
        plain = value if kind == _LITERAL else fold(value).text.casefold()
        if kind in _NUMBERS:
            plain = "".join(one for one in plain.replace("(0)", "") if one.isalnum() or one == "+")
        plain = f"{kind} {plain}"
        return hmac.new(self._key, plain.encode(), "sha256").hexdigest() if self._key else plain


def mask_plain(text: str) -> str:
    """Return `text` with marks, as "[email]", in place of credentials and personal data.

    For traces and logs, which no check stands before and where nothing is to be restored.
    """
    credentials, pii = _detectors()
    hits = (*credentials.find(text), *pii.find(text))
    return (
        apply(text, (Edit(hit.start, hit.end, hit.replacement) for hit in hits)) if hits else text
    )


@lru_cache(maxsize=1)
def _detectors() -> tuple[Credentials, Pii]:
    return Credentials(), Pii()

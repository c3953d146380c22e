"""Personal data in a text, by forms, check digits and the words around them."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from safety.fold import fold
from safety.pii import identity, labels, network, payments, phones
from safety.pii.found import SEVERITIES, Found
from safety.pii.names import Names
from safety.pii.opens import opens
from safety.verdict import Hit

KINDS = tuple(kind for kind in SEVERITIES if kind != "url")
"""What is looked for unless asked otherwise; addresses of pages are mostly no secret."""

# Of two that overlap the earlier kind stands, then the surer, then the longer.
_ORDER = (
    "url",
    "email",
    "iban",
    "credit_card",
    "us_ssn",
    "us_driver_license",
    "passport",
    "national_id",
    "ip_address",
    "mac_address",
    "crypto_wallet",
    "date_of_birth",
    "phone",
    "name",
)
_DIGIT = re.compile(r"\d")
_FEWEST = 4  # digits of what a word announces: 3/4/62
# As near to each other as in the shortest of the numbers with a form of their own.
_DIGITS = re.compile(r"\d(?:\D{0,4}\d){5}")


class Pii:
    """Finds personal data by its form; a `Detector`. Keeps nothing of the texts it sees.

    kinds: of `SEVERITIES`. regions: two-letter codes of countries whose own phone numbers are
    known without a word beside them. names: whole names, as a profile has them.
    """

    name = "pii"

    def __init__(
        self,
        kinds: Iterable[str] = KINDS,
        *,
        regions: Sequence[str] = (),
        names: Iterable[str] = (),
    ) -> None:
        self.kinds = frozenset(kinds)
        if unknown := self.kinds - SEVERITIES.keys():
            raise ValueError(f"no such kinds of personal data: {', '.join(sorted(unknown))}")
        self._regions = tuple(regions)
        self._names = Names(names if "name" in self.kinds else ())
        self.opens = opens(self._names.opens)

    def find(self, text: str) -> list[Hit]:
        """Return what was found, in order, none overlapping another."""
        folded = fold(text)
        found = [one for one in self._candidates(folded.text) if one.kind in self.kinds]
        if not found:
            return []
        kept = _apart(found)
        return [
            Hit(
                one.kind,
                SEVERITIES[one.kind],
                *folded.span(one.start, one.end),
                replacement=f"[{one.kind.replace('_', ' ')}]",
                score=one.score,
            )
            for one in kept
        ]

    def _candidates(self, text: str) -> Iterator[Found]:
        if "url" in self.kinds:
            yield from network.urls(text)
        if "@" in text:
            yield from network.emails(text)
        if _DIGIT.search(text) or ":" in text:
            yield from network.addresses(text)
            if len(_DIGIT.findall(text)) >= _FEWEST:
                yield from identity.labelled(text)
        if "<<" in text:
            yield from identity.documents(text)
        if _DIGITS.search(text):
            starts = labels.starts(text)
            yield from payments.cards(text, starts)
            yield from payments.ibans(text)
            yield from identity.numbers(text, starts)
            yield from phones.find(text, starts, self._regions)
        yield from self._names.find(text)


def _apart(found: list[Found]) -> list[Found]:
    """Return those that stand, in order of their place: none overlaps another."""
    found.sort(key=lambda one: (_ORDER.index(one.kind), -one.score, one.start - one.end))
    kept: list[Found] = []
    for one in found:
        place = bisect_left(kept, one.start, key=lambda other: other.start)
        before = place == 0 or kept[place - 1].end <= one.start
        if before and (place == len(kept) or one.end <= kept[place].start):
            kept.insert(place, one)
    return kept

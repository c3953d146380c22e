"""Whether what an answer says is supported by the passages it cites, whoever wrote it.

Numbers, dates, names, identifiers and quotations are compared exactly (nodes/facts.py); what is
left is compared by meaning: the sentence against the passage's sentences. The threshold is
measured on public data (docs/decisions/0017).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

from core.sentences import split
from core.turn import Passage
from embeddings.base import Embedder, Vector, Vectors
from nodes.facts import Facts, facts, initials, is_part, plain, stems
from tgi.embedded.quantities import Date, Number, same
from tgi.embedded.words import content, fold, listed, words

Policy = Literal["drop", "mark", "keep"]  # what happens to a sentence without support

# A sentence means what a passage says when this much of it is there: 3/4 the share of its words,
# 1/4 the cosine with the nearest sentence, or two in a row; or when the cosine alone is so high.
ENOUGH, NEAR = 0.5, 0.7
WORDS_WEIGHT = 0.75
ALIKE = 0.75  # share of the words in one sentence from which on a "not" makes the difference
SAME = 0.9  # ... and from which on the lack of one does
CLAIM_WORDS = 4  # a sentence without citation, name and number says less when it is shorter

_MARK = re.compile(r"[ \t]*\[\d{1,3}\]")
_LINK = re.compile(r"!?\[([^\[\]\n]{1,300})\]\([^()\s]{0,2000}(?:\s\"[^\"\n]{0,300}\")?\)")
_DENIALS = listed("not never no none without neither nor cannot kein keine nicht nie niemals")
_CONTRACTED = re.compile(r"n['’]t\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Support:
    """What the check says about one sentence."""

    supported: bool
    # quoted | meaning | nothing to check; unsupported: number | date | name | quotation |
    # negation | meaning
    why: str
    missing: str = ""  # the first thing that the passages do not hold


class SupportCheck:
    """Checks the sentences of one answer against the passages of its prompt."""

    def __init__(self, passages: Sequence[Passage], embedder: Embedder) -> None:
        self._sources = [_Source(passage) for passage in passages]
        self._embedder = embedder

    @cached_property
    def _names(self) -> frozenset[str]:
        """The words of all names in the passages."""
        return frozenset(
            stem
            for source in self._sources
            for run in source.facts.names
            for name in run
            for stem in stems(name)
        )

    async def check(self, sentence: str, markers: Sequence[int]) -> Support:
        """Return whether the passages that `sentence` cites support it; any, when it cites none.

        markers: numbers of passages as in the prompt, each known to exist.
        """
        text = _MARK.sub("", _LINK.sub(r"\1", sentence)).strip()
        cited = [self._sources[marker - 1] for marker in dict.fromkeys(markers)]
        sources = cited or self._sources
        parts = [words_only for part in text.split("…") if (words_only := plain(part))]
        if parts and any(all(source.says(part) for part in parts) for source in sources):
            return Support(True, "quoted")
        stated = facts(text, known=self._names)
        said = frozenset(word.stem for word in content(words(text)))
        if not cited and not _claims(stated, said):
            return Support(True, "nothing to check")
        # What several passages are cited for, they may state together; uncited, one has to do.
        together = [sources] if cited else [[source] for source in sources]
        verdicts = [_exact(stated, group) for group in together]
        holding = [
            group for group, verdict in zip(together, verdicts, strict=True) if verdict is None
        ]
        if not holding:
            return next(verdict for verdict in verdicts if verdict is not None)
        if len(said) < 2:
            return Support(True, "nothing to check")
        vector = (await self._embedder.passages([text]))[0]
        found = [
            await self._meant(text, said, vector, source) for group in holding for source in group
        ]
        return next((one for one in found if one.supported), found[0])

    async def _meant(
        self, text: str, said: frozenset[str], vector: Vector, source: _Source
    ) -> Support:
        """Return whether one passage means what a sentence says; its facts are there already."""
        if not source.sentences:
            return Support(False, "meaning")
        shares = [len(said & one) / len(said) for one in source.stems]
        nearest = max(range(len(shares)), key=shares.__getitem__)
        denied, denies = _denies(source.sentences[nearest], said), _denies(text)
        if denied != denies and shares[nearest] >= (ALIKE if denies else SAME):
            return Support(False, "negation")
        shared = len(said & source.known) / len(said)
        if WORDS_WEIGHT * shared >= ENOUGH:  # whatever the cosine is: it is hardly ever negative
            return Support(True, "meaning")
        if source.vectors is None:
            source.vectors = await self._embedder.passages(source.windows)
        near = float((source.vectors @ vector).max())
        enough = WORDS_WEIGHT * shared + (1 - WORDS_WEIGHT) * near >= ENOUGH
        return Support(enough or near >= NEAR, "meaning")


class _Source:
    """One passage, read once for all sentences that lean on it."""

    def __init__(self, passage: Passage) -> None:
        self._head = f"{passage['title']}\n{passage['section']}"
        self._text = _MARK.sub("", _LINK.sub(r"\1", passage["text"]))
        self.vectors: Vectors | None = None  # of the windows, once they are needed

    @cached_property
    def _plain(self) -> str:
        return f" {plain(self._head)} | {plain(self._text)} "

    def says(self, part: str) -> bool:
        """Return whether the passage holds these words, as `plain` leaves them."""
        return f" {part} " in self._plain

    @cached_property
    def facts(self) -> Facts:
        """What the passage, its title and its section state."""
        return facts(f"{self._head}\n{self._text}")

    @cached_property
    def known(self) -> frozenset[str]:
        """Every word of it."""
        return stems(f"{self._head}\n{self._text}")

    @cached_property
    def short(self) -> frozenset[str]:
        """What its names could be abbreviated to."""
        return initials(f"{self._head}\n{self._text}")

    @cached_property
    def sentences(self) -> list[str]:
        """What it consists of."""
        return [" ".join(self._text[part.start : part.stop].split()) for part in split(self._text)]

    @cached_property
    def stems(self) -> list[frozenset[str]]:
        """The words of each sentence."""
        return [stems(sentence) for sentence in self.sentences]

    @property
    def windows(self) -> list[str]:
        """Its sentences, and each two in a row."""
        return [*self.sentences, *(f"{one} {two}" for one, two in pairwise(self.sentences))]


def recorded(
    sentence: str, markers: Sequence[int], support: Support, action: str
) -> dict[str, Any]:
    """Return what the turn log keeps of a verdict: enough of the text to find the sentence."""
    shown = " ".join(sentence.split())
    return {
        "sentence": shown if len(shown) <= 80 else shown[:79].rstrip() + "…",
        "markers": list(markers),
        "supported": support.supported,
        "why": support.why,
        **({"missing": support.missing} if support.missing else {}),
        "action": action,  # kept | marked | dropped
    }


def _claims(stated: Facts, said: frozenset[str]) -> bool:
    """Return whether a sentence without citation says anything that needs one."""
    exact = stated.numbers or stated.dates or stated.names or stated.codes or stated.quotes
    return bool(exact) or len(said) >= CLAIM_WORDS


def _exact(stated: Facts, sources: Sequence[_Source]) -> Support | None:
    """Return the verdict when a fact stands in none of `sources`, else None."""
    for number in stated.numbers:
        if not any(_has_number(number, source.facts) for source in sources):
            return Support(False, "number", number.text)
    for date in stated.dates:
        if not any(_has_date(date, source.facts) for source in sources):
            return Support(False, "date", date.text)
    for run in stated.names:
        for name in run:
            if not any(_has_name(name, run, source) for source in sources):
                return Support(False, "name", name)
    for code in stated.codes:
        if not any(source.says(plain(code)) for source in sources):
            return Support(False, "name", code)
    for quote in stated.quotes:
        parts = [plain(part) for part in re.split(r"…|\.\.\.", quote)]
        if not any(all(source.says(part) for part in parts if part) for source in sources):
            return Support(False, "quotation", quote)
    return None


def _has_number(number: Number, there: Facts) -> bool:
    if number.values <= {0.0, 1.0} and not number.unit:
        return True  # "one of them", "no", "first" count nothing
    alike = [
        other
        for other in there.numbers
        if any(same(one, two) for one in number.values for two in other.values)
    ]
    if alike:
        units = {other.unit for other in alike}
        return not number.unit or number.unit in units or "" in units
    parts = {float(part) for date in there.dates for part in date[1:] if part}
    return not number.unit and bool(number.values & parts)


def _has_date(date: Date, there: Facts) -> bool:
    given = date[1:]
    for other in there.dates:
        if all(mine in (0, its) for mine, its in zip(given, other[1:], strict=True)):
            return True
    # "between 3 and 5 May 1999" states the third of May too.
    values = {value for number in there.numbers for value in number.values}
    for other in there.dates:
        values |= {float(part) for part in (other.year, other.day) if part}
    months = {other.month for other in there.dates}
    return (
        date.month in months
        and (not date.day or float(date.day) in values)
        and (not date.year or float(date.year) in values)
    )


def _has_name(name: str, run: Iterable[str], source: _Source) -> bool:
    if is_part(name, source.known):
        return True
    whole = "".join(part[0] for part in run if part[0].isupper())
    short = name.replace(".", "")
    return short in source.short or (len(whole) > 1 and fold(whole) in source.known)


def _denies(text: str, about: frozenset[str] | None = None) -> bool:
    """Return whether `text` says "not" or the like, where it speaks of `about`."""
    said = words(_CONTRACTED.sub(" not", text))
    places = [place for place, word in enumerate(said) if about is None or word.stem in about]
    if not places:
        return False
    # A denial stands at most two words before what it denies: "was not even meant".
    near = said[max(0, places[0] - 2) : places[-1] + 1]
    return any(fold(word.text) in _DENIALS for word in near)

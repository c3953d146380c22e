"""Presidio's recognisers as one more detector, for who wants them: the extra `presidio`.

They run over a blank pipeline of spaCy, so names of people and places are not found: that takes a
model, which is large and has to be downloaded. What they add are national numbers of more
countries; what they cost is in docs/decisions/0025-pii.md.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from typing import Any

from core.errors import SettingsInvalid
from safety.verdict import Hit, Severity

THRESHOLD = 0.45
"""Presidio rates any digits as a bank account, by 0.05, and a timestamp as a phone, by 0.4."""

# Its names of kinds that ours has too.
_KINDS = {
    "EMAIL_ADDRESS": "email",
    "PHONE_NUMBER": "phone",
    "IBAN_CODE": "iban",
    "CRYPTO": "crypto_wallet",
}
# What ours finds better, and what is nothing personal.
_LEFT_OUT = frozenset(("DATE_TIME", "URL", "NRP", "LOCATION", "PERSON"))
_HIGH = re.compile(r"CREDIT_CARD|IBAN_CODE|.*(?:SSN|PASSPORT|NRIC|TFN|NHS|AADHAAR|PAN|LICENSE)")


class Presidio:
    """Finds what Presidio finds; a `Detector` for whole texts. Made once: that takes seconds.

    Not for the inside of a stream: it takes 20 ms for a sentence, and what its recognisers look
    at beside a number is not known.
    """

    name = "pii"
    opens = None

    def __init__(self, engine: Any, threshold: float = THRESHOLD) -> None:
        self._engine = engine
        self._threshold = threshold

    @classmethod
    def build(cls, threshold: float = THRESHOLD) -> Presidio:
        """Return a detector over a blank English pipeline; opens no connection.

        Raises SettingsInvalid where the extra is not installed.
        """
        try:
            analyzer: Any = importlib.import_module("presidio_analyzer")
            spacy: Any = importlib.import_module("spacy")
            tldextract: Any = importlib.import_module("tldextract")
            nlp: Any = importlib.import_module("presidio_analyzer.nlp_engine")
        except ImportError as error:
            raise SettingsInvalid(
                "Presidio's recognisers need the extra presidio: pip install presidio-analyzer."
            ) from error
        # On the first address it would download the list of public suffixes.
        offline = tldextract.TLDExtract(suffix_list_urls=())
        tldextract.extract = tldextract.tldextract.extract = offline

        class Blank(nlp.SpacyNlpEngine):  # type: ignore[misc]  # of a module at run time
            """A pipeline without a model."""

            def __init__(self) -> None:
                super().__init__()
                self.nlp = {"en": spacy.blank("en")}

            def load(self) -> None:
                """There is nothing to load, and nothing to download."""

            def is_loaded(self) -> bool:
                """Return True."""
                return True

        return cls(
            analyzer.AnalyzerEngine(nlp_engine=Blank(), supported_languages=["en"]), threshold
        )

    def find(self, text: str) -> Sequence[Hit]:
        """Return what was found, in order, none overlapping another: the surest stands."""
        results = self._engine.analyze(text, language="en", score_threshold=self._threshold)
        hits: list[Hit] = []
        for one in sorted(results, key=lambda result: (-result.score, result.start)):
            apart = all(one.end <= hit.start or hit.end <= one.start for hit in hits)
            if one.entity_type not in _LEFT_OUT and apart:
                kind = _KINDS.get(one.entity_type, one.entity_type.lower())
                severity: Severity = "high" if _HIGH.fullmatch(one.entity_type) else "medium"
                mark = f"[{kind.replace('_', ' ')}]"
                hits.append(Hit(kind, severity, one.start, one.end, mark, round(one.score, 2)))
        return sorted(hits, key=lambda hit: hit.start)

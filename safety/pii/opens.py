"""What the end of a text looks like that may be the beginning of something personal."""

from __future__ import annotations

import re

from safety.fold import MIXED, changed
from safety.pii import identity, labels, network, phones

_REACH = 96  # characters from the end of a label to that of the longest number it is about
_LONGEST = 64  # characters of the longest value with a blank in it


def opens(names: tuple[str, ...]) -> re.Pattern[str]:
    """Return the pattern of `Detector.opens`; names: what names of several words begin with.

    Each match begins where that begins which is not complete: at the label of a number, at its
    first digit. Patterns see a folded text and this one the text itself, so whatever folding
    changes counts as a digit or a letter here. It may hold a text in vain, never the reverse.
    """
    odd = changed()
    number = rf"[+(]{{0,2}}[\d{odd}](?:[^\w\n]{{0,4}}[\d{odd}]){{0,40}}\)?[^\w\s]{{0,3}}"
    going_on = rf"{number}(?:{'|'.join(phones.BEHIND)})?"
    announcing = labels.words(
        [*labels.PHONES, *labels.CARDS, *labels.SSN, *identity.NATIONAL, *identity.LABELLED, "iban"]
    )
    before = "|".join((*labels.BEFORE, *network.BEFORE, *phones.BEFORE))
    account = rf"(?<![^\W_])(?:[^\W\d_]|[{odd}]){{2,6}}[\d{odd}]{{2,6}}"
    beginnings = (
        rf"{announcing}[\s\S]{{0,{_REACH}}}",
        rf"(?:{before})\s{{0,2}}(?:{going_on})?",
        going_on,
        rf"{account}(?:[\s-]?(?:[^\W_]|[{odd}])){{0,40}}",
        rf"(?:[{odd}]|{MIXED})[\s\S]{{0,{_LONGEST}}}",
        rf"(?:{'|'.join(labels.SPACELESS_LABELS)})[\s\S]{{0,{_REACH}}}",
        f"(?:{labels.CUT})",
        *names,
    )
    return re.compile(rf"(?:{'|'.join(beginnings)})\s{{0,2}}\Z")

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
    odd_digits = changed(to_digits=True)
    digit = rf"[\d{odd_digits}]"
    gap = f"[{odd_digits}]{{0,2}}"
    # Atomic: of a long row of digits a stream asks this at each of them.
    number = (
        rf"(?<!{digit})[+(]{{0,2}}(?>{digit}++(?:[^\w\n]{{1,4}}{digit}++){{0,20}})"
        rf"(?:{phones.EXTENSION}\d{{1,6}})?\)?[^\w\s]{{0,3}}"
    )
    going_on = rf"{number}(?:{phones.AND}{number})?(?:{'|'.join(phones.BEHIND)})?"
    announcing = labels.words(
        labels.PHONES, labels.CARDS, labels.SSN, identity.NATIONAL, identity.LABELLED, "iban"
    )
    deciding = labels.words(labels.THINGS, network.DOTTED, phones.FIELDS)
    begins = (
        rf"{announcing}[\s\S]{{0,{_REACH}}}",
        rf"(?:{deciding}{labels.FILLER}|{phones.MINE})\s{{0,2}}(?:{going_on})?",
        # An IBAN.
        rf"[^\W\d_]{gap}[^\W\d_]{gap}{digit}{gap}{digit}(?:[\s-]?[\w{odd_digits}]){{0,40}}",
        *names,
    )
    other = (
        rf"(?:[{odd}]|{MIXED})[\s\S]{{0,{_LONGEST}}}",
        rf"(?:{'|'.join(labels.SPACELESS_LABELS)})[\s\S]{{0,{_REACH}}}",
        rf"§{labels.FILLER}(?:{going_on})?",
        labels.CUT,
    )
    # By what the first character can be: most fit none of the three.
    return re.compile(
        rf"(?:(?<![^\W_])(?=[^\W\d_])(?:{'|'.join(begins)})|{going_on}"
        rf"|(?=[^\x00-\x7f])(?:{'|'.join(other)}))\s{{0,2}}\Z"
    )

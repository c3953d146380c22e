from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safety.fold import changed, fold

TRICKY = st.sampled_from(
    "a1-@ \n\x00\x1b\u00ad"
    "\u200b\u200d\u202e\u2060\ufe0f\U000e0041\u00a0\u2003\u2028\u2011\u2212\uff0d"
    "４①²٣\ufb01ﷺé\u0301\u0327가\u1112\u1161аеОРβΑpayЯ。，ｗ\ud800\ufdd0"
)
TEXTS = st.one_of(
    st.text(), st.text(st.characters(codec=None)), st.lists(TRICKY, max_size=40).map("".join)
)
DIGITS = re.compile(r"\d+")


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("４１１１ ①② ٣", "4111 12 3"),
        ("раypal привет Web-сайт", "paypal привет Web-сайт"),
        ("ma\u200bria@ex\u00adample.com", "maria@example.com"),
        ("020\u20117946\u00a00018", "020-7946 0018"),
        ("jose\u0301 ﬁn", "josé fin"),
        ("a\x00b\x1bc", "abc"),
        ("plain", "plain"),
        ("", ""),
    ],
)
def test_what_patterns_see(text: str, folded: str) -> None:
    """Forms, digits, dashes and blanks are one each; look-alikes only beside Latin letters."""
    assert fold(text).text == folded


@given(TEXTS)
def test_every_folded_character_has_a_place(text: str) -> None:
    """Spans of single characters lie in the text, in order, and fold to what they stand for."""
    folded = fold(text)
    end = 0
    for index in range(len(folded.text)):
        start, stop = folded.span(index, index + 1)
        assert 0 <= start < stop <= len(text)
        assert stop >= end
        assert start <= folded.span(index, len(folded.text))[0]
        end = stop


@given(TEXTS)
def test_masking_by_spans_leaves_nothing_and_touches_nothing_else(text: str) -> None:
    """All digits cut out by their spans are gone, and what is left of the text is unchanged."""
    folded = fold(text)
    spans = [folded.span(*match.span()) for match in DIGITS.finditer(folded.text)]
    kept, done = [], 0
    for start, end in spans:
        kept.append(text[done : max(done, start)])
        done = max(done, end)
    kept.append(text[done:])
    assert not any(DIGITS.search(fold(part).text) for part in kept)
    removed = [text[start:end] for start, end in spans]
    assert all(DIGITS.search(fold(part).text) for part in removed)


@given(TEXTS)
def test_twice_is_once(text: str) -> None:
    """A folded text folds to itself, but for letters that only then have a Latin neighbour."""
    once = fold(text).text
    twice = fold(once).text
    assert fold(twice).text == twice
    assert len(twice) <= len(once)


@given(TEXTS, TEXTS)
def test_parts_at_a_blank_fold_as_the_whole(left: str, right: str) -> None:
    """Cut before a blank, the parts fold to the parts."""
    assert fold(left).text + fold(" " + right).text == fold(left + " " + right).text


def test_what_changes_is_known() -> None:
    """The class of what folding changes has every character that it does change."""
    pattern = re.compile(f"[{changed()}]")
    for code in (*range(0x80, 0x20000), *range(0x2F000, 0x30000), *range(0xE0000, 0xE1000)):
        one = chr(code)
        if not one.isspace() and not one.isdecimal() and fold(one).text not in (one, "-"):
            assert pattern.match(one), hex(code)


@pytest.mark.parametrize("unit", ["e\u0301", "\u200b", "аb", "ﷺ", "４"])
def test_long_text_is_bearable(unit: str) -> None:
    """Folding is linear: 100 000 characters are done; anything worse runs into the timeout."""
    folded = fold(unit * (100_000 // len(unit)))
    if folded.text:
        assert folded.span(0, len(folded.text))[0] == 0

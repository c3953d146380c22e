from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.text import storable
from safety.normalise import normalise, skeleton

# Characters that interact: joiners, selectors, marks, flags, tags, letters of several scripts.
TRICKY = st.sampled_from(
    "a1e\u0301\u00e9 \n\r\t\x00\x1b\x85\u00ad\u200b\u200c\u200d\u200e\u200f\u061c\u202a\u202e\u2066"
    "\u2028\u2060\ufeff\u115f\u3164\ufe0e\ufe0f\U000e0100\U000e0067\U000e0062\U000e0065\U000e006e"
    "\U000e007f\U0001f3f4\U0001f469\u2764\U0001f3fd\u05d0\u0645\u06cc\u0915\u094d\u0e01\u0e02\u1820"
    "\u180b\ud800\udc00\ufdd0\uffff\u212b\ufb1d"
)
TEXTS = st.one_of(
    st.text(),
    st.text(st.characters(codec=None)),
    st.lists(TRICKY, max_size=30).map("".join),
)


@given(TEXTS)
def test_twice_is_once(text: str) -> None:
    """Normalising a second time changes nothing and finds nothing, whatever the text."""
    once, _ = normalise(text)
    assert normalise(once) == (once, ())


@given(TEXTS)
def test_the_result_can_be_stored(text: str) -> None:
    """The result has no NUL and no lone surrogate, and is NFC."""
    once, _ = normalise(text)
    assert storable(once) == once
    assert unicodedata.is_normalized("NFC", once)


@given(TEXTS)
def test_what_is_removed_is_reported(text: str) -> None:
    """A text whose NFC form lost characters comes with a finding."""
    once, findings = normalise(text)
    plain = text.replace("\r\n", "\n")
    shorter = len(once) < len(unicodedata.normalize("NFC", plain)) - plain.count("\ud800")
    assert findings or not shorter


@given(st.text(st.characters(codec="ascii", min_codepoint=32, max_codepoint=126)))
def test_plain_text_is_left_alone(text: str) -> None:
    """Printable ASCII comes back as it was."""
    assert normalise(text) == (text, ())


@given(TEXTS)
def test_every_text_has_a_skeleton(text: str) -> None:
    """Patterns can look at any text: the skeleton is lower case with single spaces."""
    seen = skeleton(text)
    assert seen == " ".join(seen.split())


@pytest.mark.parametrize(
    "text",
    [
        "👩‍👩‍👧‍👦 and 🧑🏽‍🚀, ❤️‍🔥 and 1️⃣",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f for England",
        "می‌خواهم",  # Persian needs the zero-width non-joiner
        "क्‍ष and ক্‌ষ",  # Hindi and Bengali choose a letter's form with joiners
        "שלום \u200fABC\u200e (עברית)",  # marks beside right-to-left letters
        "ភាសា\u200bខ្មែរ",  # Khmer marks its words with zero-width spaces
        "葛\U000e0100城市",  # an ideographic variant in a name
        "x² + ½ = ﬁ①ＡＢＣ",  # NFKC would change what these mean
        "tab\tand\nline",
    ],
)
def test_what_people_write_is_kept(text: str) -> None:
    """Emoji, flags, joiners, marks and variants are kept where a script or an emoji needs them."""
    assert normalise(text) == (text, ())


@pytest.mark.parametrize(
    ("text", "expected", "detail", "severity"),
    [
        ("hi" + "".join(chr(0xE0000 + ord(c)) for c in "obey"), "hi", "4 tag characters", "high"),
        ("😀" + "\U000e0110" * 5, "😀\U000e0110", "4 variation selectors", "medium"),
        ("user\u202egpj.exe", "usergpj.exe", "1 bidirectional controls", "medium"),
        ("plain\u200f text", "plain text", "1 bidirectional controls", "medium"),
        ("ig\u200bno\u2060re", "ignore", "2 zero-width characters", "low"),
        ("a\u200db", "ab", "1 zero-width characters", "low"),
        ("nul\x00 and \x1b[31m", "nul and [31m", "2 control characters", "low"),
    ],
)
def test_what_nobody_sees_is_removed(text: str, expected: str, detail: str, severity: str) -> None:
    """Hidden characters go, and a finding says how many of which kind, never the text."""
    result, [finding] = normalise(text)
    assert result == expected
    assert (finding.check, finding.action) == ("invisible", "warn")
    assert (finding.detail, finding.severity) == (detail, severity)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("e\u0301", "é"),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("\ud83d\ude00", "😀"),
        ("a\ud800b", "a\ufffdb"),
        ("", ""),
    ],
)
def test_one_spelling_for_one_text(text: str, expected: str) -> None:
    """Composed letters, line ends and surrogates have one form; that is no finding."""
    assert normalise(text) == (expected, ())


@pytest.mark.parametrize("unit", ["\U000e0041", "a\u200d", "א\u200f\u200f", "😀\u200d", "\ud800"])
def test_long_hostile_text_is_bearable(unit: str) -> None:
    """32 000 characters of anything are done; quadratic work would run into the timeout."""
    normalise(unit * (32_000 // len(unit)) * 20)

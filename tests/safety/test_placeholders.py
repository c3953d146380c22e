from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safety.pii import Pii
from safety.placeholders import Placeholders, mask_plain
from safety.units import PLACEHOLDER
from safety.verdict import Hit

PII = Pii()
WRITTEN = """
Maria@Example.com maria@example.com <EMAIL_1> <EMAIL_2> <WRITTEN_1> +44 161 496 0847 <PHONE_1> 0161
415-555-2671 4111111111111111 <EMAIL_ < > a <b> ＜EMAIL_1＞
"""
PARTS = st.sampled_from(WRITTEN.split())
TEXTS = st.lists(PARTS, max_size=12).map(" ".join)


def mask(placeholders: Placeholders, text: str) -> str:
    """Return `text` masked by what is found in it."""
    return placeholders.mask(text, PII.find(text))


def test_the_same_value_has_the_same_placeholder() -> None:
    """In any spelling, in every message, and after the conversation was loaded again."""
    first = Placeholders()
    masked = mask(first, "Maria@Example.com, or mаria@example.com, or b@example.com")
    assert masked == "<EMAIL_1>, or <EMAIL_1>, or <EMAIL_2>"
    later = Placeholders(first.to_dict())
    assert mask(later, "MARIA@EXAMPLE.COM and c@example.com") == "<EMAIL_1> and <EMAIL_3>"
    assert later.to_dict() == first.to_dict() | {"<EMAIL_3>": "c@example.com"}


def test_hits_that_overlap_are_one_value() -> None:
    """What two detectors see of the same place is masked as a whole, to the end of the last."""
    hits = [Hit("phone", "medium", 2, 8), Hit("us_npi", "medium", 5, 12)]
    placeholders = Placeholders()
    masked = placeholders.mask("a 1234567890 b", hits)
    assert masked == "a <PHONE_1> b"
    assert placeholders.restore(masked) == "a 1234567890 b"


def test_numbers_are_the_same_in_other_groups() -> None:
    """Blanks, dashes and brackets do not make another number."""
    text = "+44 161 496 0847 or +44 (0)161-496-0847"
    assert mask(Placeholders(), text) == "<PHONE_1> or <PHONE_1>"


def test_what_a_person_typed_is_nobodys_value() -> None:
    """A placeholder that somebody writes comes back as written, not as what it stands for."""
    placeholders = Placeholders()
    mask(placeholders, "my mail is secret@example.com")
    masked = mask(placeholders, "what is <EMAIL_1>?")
    assert masked == "what is <WRITTEN_1>?"
    assert placeholders.restore(masked) == "what is <EMAIL_1>?"


@given(st.lists(TEXTS, max_size=4))
def test_what_was_masked_comes_back(texts: list[str]) -> None:
    """Every text comes back, its values as they were first written, and holds none meanwhile."""
    placeholders = Placeholders()
    for text in texts:
        masked = mask(placeholders, text)
        assert "example" not in masked.lower()
        assert "4111" not in masked
        restored = placeholders.restore(masked)
        assert mask(placeholders, restored) == masked
        assert restored.casefold().count("example") == text.casefold().count("example")


@given(TEXTS)
def test_with_a_key_no_value_is_kept(text: str) -> None:
    """The same numbers, and neither the values nor a way back."""
    plain, digest = Placeholders(), Placeholders(key=b"secret")
    masked = mask(digest, text)
    if not PLACEHOLDER.search(text):  # these stay: there is nothing that they could restore
        assert masked == mask(plain, text)
    assert digest.restore(masked) == masked
    assert all(re.fullmatch("[0-9a-f]{64}", value) for value in digest.to_dict().values())
    again = Placeholders(digest.to_dict(), key=b"secret")
    assert mask(again, text) == masked
    assert again.to_dict() == digest.to_dict()


def test_a_value_is_not_looked_at_again() -> None:
    """What a restored value contains stays, even if it looks like a placeholder."""
    placeholders = Placeholders({"<WRITTEN_1>": "<EMAIL_1>", "<EMAIL_1>": "a@example.com"})
    assert placeholders.restore("<WRITTEN_1> <EMAIL_9>") == "<EMAIL_1> <EMAIL_9>"


def test_what_is_no_placeholder_is_refused() -> None:
    """A stored mapping with another key is an error, not a value that never returns."""
    with pytest.raises(ValueError, match="no placeholder"):
        Placeholders({"EMAIL_1": "a@example.com"})


def test_plain_marks_for_traces() -> None:
    """Credentials and personal data become marks; the rest stays."""
    token = "ghp_" + "a1B2c3D4e5" * 3 + "f6G7h8"
    text = f"mail a@example.com, token {token}, card 4111 1111 1111 1111."
    assert mask_plain(text) == "mail [email], token [redacted github token], card [credit card]."
    assert mask_plain("nothing here") == "nothing here"

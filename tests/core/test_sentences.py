"""How passages are cut into what can be quoted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.sentences import split


def cut(text: str) -> list[str]:
    return [" ".join(text[part.start : part.stop].split()) for part in split(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It rained. Then it snowed.", ["It rained.", "Then it snowed."]),
        ("Dr. Ruth A. Meyer won 3.5 points.", ["Dr. Ruth A. Meyer won 3.5 points."]),
        ("The U.S. Army left. It came back.", ["The U.S. Army left.", "It came back."]),
        ("Open at 9 a.m. The door is red.", ["Open at 9 a.m.", "The door is red."]),
        ('He said "stop." She did.', ['He said "stop."', "She did."]),
        ("See e.g. Fig. 3 for it.", ["See e.g. Fig. 3 for it."]),
        ("Why? Nobody knows!", ["Why?", "Nobody knows!"]),
        ("Founded in 1596.[12] Burnt later.", ["Founded in 1596.[12]", "Burnt later."]),
        ("Wait ... and see.", ["Wait ... and see."]),
        ("東京は首都です。人口は多い。", ["東京は首都です。", "人口は多い。"]),
        ("hard wrapped\nline. Next\none.", ["hard wrapped line.", "Next one."]),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(text: str, expected: list[str]) -> None:
    """Abbreviations, initials, decimals and quotations do not end a sentence by their dot."""
    assert cut(text) == expected


def test_markdown_keeps_its_parts_apart() -> None:
    """Headings, items, rows and code are segments of their own, and code stays whole."""
    text = "# Tests\n\nRun this:\n\n```sh\nmake test\n# all\n```\n\n- one\n- two. Three.\n\n|a|b|\n"
    kinds = [(part.kind, text[part.start : part.stop]) for part in split(text)]
    assert kinds == [
        ("heading", "# Tests"),
        ("sentence", "Run this:"),
        ("code", "```sh\nmake test\n# all\n```"),
        ("item", "one"),
        ("item", "two."),
        ("item", "Three."),
        ("row", "|a|b|"),
    ]


def test_a_fence_that_is_never_closed_is_code_to_the_end() -> None:
    """A chunk may end inside a code block."""
    assert [part.kind for part in split("Before.\n```\nx = 1\n\ny = 2")] == ["sentence", "code"]


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=400))
def test_no_character_is_lost_or_told_twice(text: str) -> None:
    """Segments are in order, do not overlap, are never blank, and lie inside the text."""
    at = 0
    for part in split(text):
        assert at <= part.start < part.stop <= len(text)
        assert text[part.start : part.stop].strip()
        at = part.stop

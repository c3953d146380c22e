"""Markdown: headings become sections, the rest stays as it was written."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from knowledge.load.document import Document
from knowledge.load.markdown import load


def read(text: str) -> Document:
    """Load a text as guide.md."""
    return load(Path("guide.md"), text.encode())


def sections(text: str) -> list[tuple[str, str]]:
    """Return (section, text) of each part."""
    return [(part.section, part.text) for part in read(text).parts]


def test_headings_become_a_section_path() -> None:
    """A part knows the headings above it, outermost first, and siblings close each other."""
    text = "# A\n\nin a\n\n## B\nin b\n### C\nin c\n## D ##\nin d\n"
    assert sections("intro\n\n" + text.replace("# A", "# Other\n\n# A", 1)) == [
        ("", "intro"),
        ("A", "in a"),
        ("A > B", "in b"),
        ("A > B > C", "in c"),
        ("A > D", "in d"),
    ]


def test_the_first_heading_is_the_title_and_no_section() -> None:
    """What every part would repeat is said once."""
    document = read("# Guide\n\nHello.\n\n## Install\n\nRun it.")
    assert document.title == "Guide"
    assert [part.section for part in document.parts] == ["", "Install"]


def test_underlined_headings_count() -> None:
    """The older way of writing headings is understood."""
    assert sections("Guide\n=====\n\nHello.\n\nUse\n---\nRun.") == [("", "Hello."), ("Use", "Run.")]


def test_a_rule_below_a_list_or_a_table_is_no_heading() -> None:
    """Three hyphens make a heading of a paragraph only."""
    assert sections("- item\n---\n| a |\n---\n\n---\ntext") == [
        ("", "- item\n---\n| a |\n---\n\n---\ntext")
    ]


def test_code_is_left_alone() -> None:
    """In fenced code a hash is no heading, a comment stays, and indentation is kept."""
    code = "```sh\n# not a heading\n<!-- kept -->\n    make\n```"
    assert sections(f"# T\n{code}\n") == [("", code)]


def test_comments_are_not_for_readers() -> None:
    """An HTML comment outside code is dropped, its headings too."""
    assert sections("a\n\n<!-- one\n# two\n-->\n\nb") == [("", "a\n\n\nb")]


def test_a_heading_without_text_is_kept_as_text() -> None:
    """No word of the document is lost."""
    assert sections("# T\nx\n## Alone\n## Above\n### Below\ny") == [
        ("", "x"),
        ("Alone", "Alone"),
        ("Above > Below", "y"),
    ]


def test_headings_lose_their_markup() -> None:
    """A section reads as on the page."""
    assert sections("# T\n## The `core` of [it](http://x) *all*\nx")[0][0] == "The core of it all"


def test_front_matter_is_metadata() -> None:
    """Title, author and language are taken from YAML, the rest kept beside them."""
    document = read(
        "---\ntitle: The Guide\nauthor: Ada\nlang: en\ntags: [a, b]\ndate: 2024-05-01\n---\n\nText."
    )
    assert (document.title, document.author, document.language) == ("The Guide", "Ada", "en")
    assert document.metadata == {"tags": ["a", "b"], "date": "2024-05-01"}
    assert document.text == "Text."


def test_broken_front_matter_is_text() -> None:
    """YAML that does not parse costs nothing."""
    assert "a: [" in read("---\na: [\n\n---\nText.").text


def test_aliases_in_front_matter_do_not_expand() -> None:
    """Nested YAML values, which can grow without end, are left out."""
    bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"
    assert read(f"---\n{bomb}---\nText.").metadata == {"a": ["x", "x"]}


def test_a_table_is_a_part_of_its_own() -> None:
    """Its rows name their columns; text around it keeps its place and its heading."""
    text = "# T\n## S\nBefore.\n\n| A | B |\n|---|:-:|\n| 1 | x\\|y |\n| 2 | |\n\nAfter.\n"
    document = load(Path("a.md"), text.encode())
    assert [(part.section, part.text, part.table) for part in document.parts] == [
        ("S", "Before.", False),
        ("S", "A: 1; B: x|y\n\nA: 2", True),
        ("S", "After.", False),
    ]


def test_a_table_in_code_is_code() -> None:
    """What stands between fences stays as it is."""
    text = "```\n| A | B |\n|---|---|\n| 1 | 2 |\n```"
    (part,) = load(Path("a.md"), text.encode()).parts
    assert (part.text, part.table) == (text, False)


def test_dates_come_from_front_matter() -> None:
    """A date without a time zone is taken for UTC."""
    document = load(Path("a.md"), b"---\ndate: 2024-03-01\nupdated: 2024-04-01\n---\nx")
    assert document.created == datetime(2024, 3, 1, tzinfo=UTC)
    assert document.modified == datetime(2024, 4, 1, tzinfo=UTC)


def test_an_endless_line_takes_no_time() -> None:
    """A megabyte without a line end is read once."""
    text = "#" + " " * 1_000_000 + "|-" * 100_000
    assert load(Path("a.md"), text.encode()).parts

"""PPTX: each slide with its number and title, and everything that is on it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from core.errors import DocumentUnreadable
from knowledge.load.document import Document
from knowledge.load.slides import load

BOX = (Inches(1), Inches(1), Inches(3), Inches(1))


def saved(deck: Any) -> bytes:
    """Return a presentation as bytes."""
    target = io.BytesIO()
    deck.save(target)
    return target.getvalue()


def read(deck: Any) -> Document:
    """Load it as deck.pptx."""
    return load(Path("deck.pptx"), saved(deck))


def slide(deck: Any, title: str) -> Any:
    """Add a slide with a title and room for points."""
    added = deck.slides.add_slide(deck.slide_layouts[1])
    added.shapes.title.text = title
    return added


def test_a_slide_is_a_page_under_its_title() -> None:
    """Points keep their indentation; a slide that is only a title is not lost."""
    deck = Presentation()
    first = slide(deck, "Plan")
    first.placeholders[1].text = "Grow"
    below = first.placeholders[1].text_frame.add_paragraph()
    below.text, below.level = "slowly", 1
    slide(deck, "Questions?")
    assert [(part.page, part.section, part.text) for part in read(deck).parts] == [
        (1, "Plan", "Grow\n  slowly"),
        (2, "Questions?", "Questions?"),
    ]


def test_notes_and_groups_are_read() -> None:
    """What the speaker says and what is in groups of groups belongs to the slide."""
    deck = Presentation()
    only = slide(deck, "Plan")
    group = only.shapes.add_group_shape().shapes.add_group_shape()
    group.shapes.add_textbox(*BOX).text_frame.text = "In a group."
    only.notes_slide.notes_text_frame.text = "Say hello."
    assert read(deck).text == "In a group.\n\nSay hello."


def test_a_table_is_a_part_of_its_own() -> None:
    """Its rows name their columns, and it knows its slide."""
    deck = Presentation()
    only = slide(deck, "Prices")
    table = only.shapes.add_table(3, 2, *BOX).table
    for row, texts in enumerate((("Item", "Price"), ("Tea", "2"), ("Cake", "4"))):
        for column, text in enumerate(texts):
            table.cell(row, column).text = text
    (part,) = read(deck).parts
    assert (part.page, part.section, part.table) == (1, "Prices", True)
    assert part.text == "Item: Tea; Price: 2\n\nItem: Cake; Price: 4"


def test_a_chart_says_its_numbers() -> None:
    """A category is a row, a series a column."""
    deck = Presentation()
    data: Any = CategoryChartData()  # type: ignore[no-untyped-call]
    data.categories = ["Q1", "Q2"]
    data.add_series("Sales", (1.5, 2))
    slide(deck, "S").shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *BOX, data)
    assert read(deck).text == "Q1; Sales: 1.5\n\nQ2; Sales: 2"


def test_hidden_slides_are_left_out_and_named() -> None:
    """Who looks at the slides does not see them."""
    deck = Presentation()
    slide(deck, "Shown")
    slide(deck, "Hidden")._element.set("show", "0")
    document = read(deck)
    assert [part.text for part in document.parts] == ["Shown"]
    assert document.metadata == {"slides": 2, "hidden_slides": [2]}


def test_a_presentation_says_what_it_is_called() -> None:
    """Title and author come from the file; without a title the first slide's is taken."""
    deck = Presentation()
    slide(deck, "First")
    assert read(deck).title == "First"
    deck.core_properties.title, deck.core_properties.author = "Plan", "Ada"
    document = read(deck)
    assert (document.title, document.author) == ("Plan", "Ada")


def test_half_a_presentation_is_refused() -> None:
    """A truncated file is damaged."""
    with pytest.raises(DocumentUnreadable):
        load(Path("deck.pptx"), saved(Presentation())[:9000])

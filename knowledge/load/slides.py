"""PPTX: a part for each slide, its tables whole, its notes with it; by python-pptx."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from core.errors import DocumentUnreadable
from core.text import scrub
from knowledge.load.document import Document, Part, has_text, name
from knowledge.load.properties import properties
from knowledge.load.rows import is_table, table

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
MAX_GROUPS = 20  # groups inside groups
MAX_CHART_VALUES = 200
FURNITURE = {"DATE", "FOOTER", "HEADER", "SLIDE_NUMBER"}  # repeated on every slide


def load(path: Path, data: bytes) -> Document:
    """Return the shown slides: page = number of the slide, section = its title.

    data: an archive that `archive.members` let pass. Raises DocumentUnreadable.
    """
    from lxml.etree import LxmlError  # type: ignore[import-untyped]  # has no stubs
    from pptx import Presentation
    from pptx.exc import PythonPptxError

    known = properties(data)
    parts: list[Part] = []
    hidden: list[int] = []
    count = 0
    try:
        for count, slide in enumerate(Presentation(io.BytesIO(data)).slides, 1):
            if slide._element.get("show") == "0":
                hidden.append(count)  # who looks at the slides does not see it
            else:
                parts.extend(_slide(slide, count))
    except (
        PythonPptxError,
        LxmlError,
        zipfile.BadZipFile,
        NotImplementedError,
        *(KeyError, ValueError, AttributeError, TypeError, IndexError, EOFError, OSError),
    ) as error:
        raise DocumentUnreadable(f"It is not a whole presentation: {error}") from error
    first = next((part.section for part in parts if part.section), "")
    return Document(
        title=known.title or first or name(path.stem),
        media_type=MEDIA_TYPE,
        parts=tuple(parts),
        bytes=len(data),
        author=known.author,
        language=known.language,
        created=known.created,
        modified=known.modified,
        metadata={"slides": count} | ({"hidden_slides": hidden} if hidden else {}),
    )


def _slide(slide: Any, number: int) -> Iterator[Part]:
    """Yield the text of a slide, then each of its tables, then what the speaker says."""
    heading = slide.shapes.title
    title = name(heading.text_frame.text) if heading is not None else ""
    texts: list[str] = []
    tables: list[str] = []
    for shape in _shapes(slide.shapes, MAX_GROUPS):
        if heading is not None and shape.shape_id == heading.shape_id:
            continue
        if shape.is_placeholder and shape.placeholder_format.type.name in FURNITURE:
            continue
        if getattr(shape, "has_table", False):
            rows = [[cell.text for cell in row.cells] for row in shape.table.rows]
            text = table(rows, header=bool(shape.table.first_row))
            (tables if is_table(rows) else texts).append(text)
        elif getattr(shape, "has_chart", False):
            tables.append(_chart(shape.chart))
        elif shape.has_text_frame:
            texts.append(_lines(shape.text_frame.paragraphs))
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        texts.append(_lines(slide.notes_slide.notes_text_frame.paragraphs))
    text = scrub("\n\n".join(filter(has_text, texts)))
    tables = [scrub(found) for found in tables if has_text(found)]
    if text or (title and not tables):
        yield Part(text or title, title, number)
    for found in tables:
        yield Part(found, title, number, records=True, table=True)


def _shapes(shapes: Iterable[Any], depth: int) -> Iterator[Any]:
    """Yield every shape in reading order, those in groups where their group stands."""
    for shape in shapes:
        if hasattr(shape, "shapes"):
            if depth:
                yield from _shapes(shape.shapes, depth - 1)
        else:
            yield shape


def _lines(paragraphs: Iterable[Any]) -> str:
    """Return a text box; points below others are indented as they are on the slide."""
    lines = []
    for paragraph in paragraphs:
        text = " ".join(paragraph.text.replace("\v", "\n").split(" ")).strip()
        if has_text(text):
            lines.append("  " * paragraph.level + text)
    return "\n".join(lines)


def _chart(chart: Any) -> str:
    """Return the numbers that a chart shows, a category a row."""
    plot = next(iter(chart.plots), None)
    if plot is None:
        return ""
    series = list(plot.series)
    rows = [["", *(str(one.name) for one in series)]]
    for index, category in enumerate(plot.categories):
        if index * len(series) >= MAX_CHART_VALUES:
            break
        values = (list(one.values)[index : index + 1] for one in series)
        rows.append([str(category), *("".join(map(_number, value)) for value in values)])
    caption = name(chart.chart_title.text_frame.text) if chart.has_title else ""
    return "\n\n".join(filter(None, [caption, table(rows, header=True)]))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.15g}"

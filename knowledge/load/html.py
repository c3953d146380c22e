"""HTML: the main text of a page, headings as sections, without what only machines need."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import DocumentUnreadable
from core.text import scrub
from knowledge.load.dates import moment
from knowledge.load.document import Document, has_text, name
from knowledge.load.outline import Outline, Stretch, sectioned
from knowledge.load.text import assumed, decode

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

CHARSET = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?\s*([\w-]+)", re.IGNORECASE)
CHARSET_BYTES = 2048  # where the standard wants it, doubled
SPACE = re.compile(r"\s+")
DROPPED = [
    *("script", "style", "noscript", "template", "svg", "iframe", "object", "canvas"),
    *("nav", "aside", "form", "button", "select", "input", "textarea", "dialog", "head"),
]
CREATED = ("article:published_time", "dcterms.created", "dc.date", "date", "pubdate")
MODIFIED = ("article:modified_time", "dcterms.modified", "last-modified", "revised")
MAX_SPAN = 50  # columns or rows of one cell; more is a mistake or an attack
HEADINGS = {"h1": 1, "h2": 2, "h3": 3, "h4": 4, "h5": 5, "h6": 6}
BLOCKS = frozenset(
    [
        *("address", "article", "blockquote", "body", "caption", "center", "dd", "details", "div"),
        *("dl", "dt", "fieldset", "figcaption", "figure", "footer", "header", "hr", "html", "li"),
        *("main", "ol", "p", "section", "summary", "table", "tbody", "td", "tfoot", "th", "thead"),
        *("tr", "ul"),
    ]
)


def load(path: Path, data: bytes) -> Document:
    """Return a part for each heading with text below it."""
    from bs4 import BeautifulSoup

    text, encoding = _decoded(data)
    try:
        soup = BeautifulSoup(text, "lxml")
        title = _title(soup) or name(path.stem)
        author = _meta(soup, "author") or None
        language = name(_attribute(soup.html, "lang")) or _meta(soup, "language") or None
        description = _meta(soup, "description")
        dates = [_date(soup, keys) for keys in (CREATED, MODIFIED)]
        writer = _Writer()
        writer.walk(_main(soup))
    except RecursionError as error:
        raise DocumentUnreadable("Its elements are nested too deeply.") from error
    return Document(
        title=title,
        media_type="text/html",
        parts=sectioned(writer.finish(), title),
        bytes=len(data),
        author=author,
        language=language,
        created=dates[0],
        modified=dates[1],
        metadata=({"description": description} if description else {}) | assumed(encoding),
    )


def _decoded(data: bytes) -> tuple[str, str]:
    """Return the page, and the encoding: the one it declares, or else the one that fits best."""
    declared = CHARSET.search(data[:CHARSET_BYTES])
    if declared is not None and not data.startswith(codecs.BOM_UTF8):
        try:
            # What browsers do: a page that says Latin-1 is read as its superset cp1252.
            encoding = codecs.lookup(declared[1].decode("ascii")).name
            encoding = "cp1252" if encoding == "iso8859-1" else encoding
            return data.decode(encoding), encoding
        except (LookupError, UnicodeDecodeError):
            pass  # it says what it is not
    return decode(data)


def _main(soup: BeautifulSoup) -> Tag:
    """Return the element that holds the page's own text, everything else removed from it."""
    for element in soup.find_all(DROPPED):
        element.decompose()
    for element in soup.find_all(_is_hidden):
        if not element.decomposed:
            element.decompose()
    articles = soup.find_all("article")
    candidates = [
        soup.find("main"),
        soup.find(None, {"role": "main"}),
        articles[0] if len(articles) == 1 else None,
    ]
    for candidate in candidates:
        if candidate is not None and has_text(candidate.get_text()):
            return candidate
    body = soup.body or soup
    for element in body.find_all(["footer", "header"], recursive=False):
        if element.find("h1") is None:
            element.decompose()
    return body


def _is_hidden(element: Tag) -> bool:
    """True for what a reader of the page never sees: a favourite place for planted orders."""
    style = _attribute(element, "style").replace(" ", "").casefold()
    return (
        element.has_attr("hidden")
        or _attribute(element, "aria-hidden") == "true"
        or "display:none" in style
        or "visibility:hidden" in style
    )


class _Writer:
    """Writes paragraphs as it walks over elements, and begins anew at each heading."""

    def __init__(self) -> None:
        self._outline = Outline()
        self._line: list[str] = []
        self._bullet = False  # the next block begins a list item

    def walk(self, element: Tag) -> None:
        """Write everything below an element, in the order of the page."""
        from bs4.element import NavigableString, PreformattedString, Tag

        for child in element.children:
            if isinstance(child, Tag):
                self._element(child)
            elif isinstance(child, NavigableString) and not isinstance(child, PreformattedString):
                self._line.append(SPACE.sub(" ", str(child)))  # only <br> breaks a line

    def finish(self) -> list[Stretch]:
        """Return what was written."""
        self._end_block()
        return self._outline.finish()

    def _element(self, element: Tag) -> None:
        if element.name in HEADINGS:
            self._end_block()
            self._outline.heading(HEADINGS[element.name], element.get_text())
        elif element.name == "pre":
            self._end_block()
            code = scrub(element.get_text()).strip("\n")
            if has_text(code):
                self._outline.block(f"```\n{code}\n```")
        elif element.name == "br":
            self._line.append("\n")
        elif element.name == "table" and element.find(["table", "pre", *HEADINGS]) is None:
            self._end_block()
            self._table(element)
        elif element.name in BLOCKS:
            self._end_block()
            self._bullet = element.name == "li" or (self._bullet and element.name != "ul")
            self.walk(element)
            self._end_block()
        else:
            self.walk(element)

    def _table(self, element: Tag) -> None:
        rows = [row.find_all(["td", "th"]) for row in element.find_all("tr")]
        header = bool(rows) and all(cell.name == "th" for cell in rows[0])
        caption = element.find("caption")
        self._outline.block(name(caption.get_text(" ")) if caption else "")
        self._outline.table(_grid(rows), header=header)

    def _end_block(self) -> None:
        lines = [" ".join(line.split()) for line in "".join(self._line).split("\n")]
        self._line.clear()
        text = "\n".join(line for line in lines if line)
        if has_text(text):
            self._outline.block(f"- {text}" if self._bullet else text)
            self._bullet = False


def _grid(rows: Sequence[Sequence[Tag]]) -> list[list[str]]:
    """Return the cells' texts, each under its column: a cell over many rows counts in each."""
    waiting: dict[int, tuple[int, str]] = {}  # column to rows still covered, and by what
    grid: list[list[str]] = []
    for row in rows:
        texts: list[str] = []

        def fill(texts: list[str] = texts) -> None:
            while len(texts) in waiting:
                left, text = waiting.pop(len(texts))
                if left > 1:
                    waiting[len(texts)] = (left - 1, text)
                texts.append(text)

        for cell in row:
            fill()
            text, high = cell.get_text(" "), _span(cell, "rowspan")
            for index in range(_span(cell, "colspan")):
                # Names count for every column they stand over; a value is said once.
                shown = text if index == 0 or cell.name == "th" else ""
                if high > 1:
                    waiting[len(texts)] = (high - 1, shown)
                texts.append(shown)
        fill()
        grid.append(texts)
    return grid


def _span(cell: Tag, key: str) -> int:
    written = _attribute(cell, key).strip()
    return max(1, min(int(written), MAX_SPAN)) if written.isascii() and written.isdigit() else 1


def _title(soup: BeautifulSoup) -> str:
    heading = soup.find("h1")
    return name(soup.title.get_text() if soup.title else "") or name(
        heading.get_text() if heading else ""
    )


def _meta(soup: BeautifulSoup, key: str) -> str:
    element = soup.find("meta", attrs={"name": key}) or soup.find("meta", attrs={"property": key})
    return name(_attribute(element, "content"))


def _date(soup: BeautifulSoup, keys: tuple[str, ...]) -> datetime | None:
    return next(filter(None, (moment(_meta(soup, key)) for key in keys)), None)


def _attribute(element: Tag | None, key: str) -> str:
    value = element.get(key) if element is not None else None
    return value if isinstance(value, str) else ""

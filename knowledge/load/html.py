"""HTML: the main text of a page, headings as sections, without what only machines need."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import DocumentUnreadable
from core.text import scrub
from knowledge.load.document import (
    Document,
    Heading,
    Stretch,
    has_text,
    name,
    open_heading,
    sectioned,
)
from knowledge.load.rows import table
from knowledge.load.text import decode

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

CHARSET = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?\s*([\w-]+)", re.IGNORECASE)
CHARSET_BYTES = 2048  # where the standard wants it, doubled
SPACE = re.compile(r"\s+")
DROPPED = [
    *("script", "style", "noscript", "template", "svg", "iframe", "object", "canvas"),
    *("nav", "aside", "form", "button", "select", "input", "textarea", "dialog", "head"),
]
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

    try:
        soup = BeautifulSoup(_decoded(data), "lxml")
        title = _title(soup) or name(path.stem)
        author = _meta(soup, "author") or None
        language = name(_attribute(soup.html, "lang")) or _meta(soup, "language") or None
        description = _meta(soup, "description")
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
        metadata={"description": description} if description else {},
    )


def _decoded(data: bytes) -> str:
    """Return the page in the encoding it declares, or else in the one that fits it best."""
    declared = CHARSET.search(data[:CHARSET_BYTES])
    if declared is not None and not data.startswith(codecs.BOM_UTF8):
        try:
            # What browsers do: a page that says Latin-1 is read as its superset cp1252.
            encoding = codecs.lookup(declared[1].decode("ascii")).name
            return data.decode("cp1252" if encoding == "iso8859-1" else encoding)
        except (LookupError, UnicodeDecodeError):
            pass  # it says what it is not
    return decode(data)[0]


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
        self._stretches: list[Stretch] = []
        self._headings: list[Heading] = []
        self._blocks: list[str] = []
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
        self._end_stretch()
        return self._stretches

    def _element(self, element: Tag) -> None:
        if element.name in HEADINGS:
            self._heading(HEADINGS[element.name], element.get_text())
        elif element.name == "pre":
            self._end_block()
            code = scrub(element.get_text()).strip("\n")
            if has_text(code):
                self._blocks.append(f"```\n{code}\n```")
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

    def _heading(self, level: int, text: str) -> None:
        self._end_stretch()
        open_heading(self._headings, level, text)

    def _table(self, element: Tag) -> None:
        rows = [row.find_all(["td", "th"]) for row in element.find_all("tr")]
        header = bool(rows) and all(cell.name == "th" for cell in rows[0])
        self._blocks.append(table([[c.get_text(" ") for c in row] for row in rows], header=header))

    def _end_block(self) -> None:
        lines = [" ".join(line.split()) for line in "".join(self._line).split("\n")]
        self._line.clear()
        text = "\n".join(line for line in lines if line)
        if has_text(text):
            self._blocks.append(f"- {text}" if self._bullet else text)
            self._bullet = False

    def _end_stretch(self) -> None:
        self._end_block()
        text = ""
        for block in filter(None, self._blocks):
            in_list = block.startswith("- ") and text.rpartition("\n")[2].startswith("- ")
            text += ("\n" if in_list else "\n\n" if text else "") + block
        self._blocks.clear()
        self._stretches.append((list(self._headings), text))


def _title(soup: BeautifulSoup) -> str:
    heading = soup.find("h1")
    return name(soup.title.get_text() if soup.title else "") or name(
        heading.get_text() if heading else ""
    )


def _meta(soup: BeautifulSoup, key: str) -> str:
    element = soup.find("meta", attrs={"name": key})
    return name(_attribute(element, "content"))


def _attribute(element: Tag | None, key: str) -> str:
    value = element.get(key) if element is not None else None
    return value if isinstance(value, str) else ""

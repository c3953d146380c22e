"""Markdown: the text stays as written, headings become sections, front matter metadata."""

from __future__ import annotations

import datetime
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from knowledge.load.dates import moment
from knowledge.load.document import Document, name, storable
from knowledge.load.outline import Heading, Stretch, open_heading, sectioned
from knowledge.load.rows import is_table, table
from knowledge.load.text import assumed, decode

FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#*)?[ \t]*$")
UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*$")
MAX_HEADING_CHARACTERS = 1000  # longer lines are not tried, which would take quadratic time
RULE = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")  # |---|:-:|
CELL_END = re.compile(r"(?<!\\)\|")
NOT_A_HEADING = re.compile(r"\s*(?:[-*+>|]|\d+[.)]|$)")  # lists, quotes, tables have no underline
MARKUP = re.compile(r"[*_`]{1,3}(?=\S)(.+?)(?<=\S)[*_`]{1,3}|!?\[([^\]]*)\]\([^)]*\)")
MAX_FRONT_MATTER_CHARACTERS = 20_000


def load(path: Path, data: bytes) -> Document:
    """Return a part for each heading with text below it."""
    text, encoding = decode(data)
    text, front = _front_matter(text)
    stretches = _stretches(text)
    first = next((s.headings[0][1] for s in stretches if s.headings), "")
    title = name(front.pop("title", "")) or first or name(path.stem)
    author = name(front.pop("author", "")) or None
    language = name(front.pop("language", front.pop("lang", ""))) or None
    return Document(
        title=title,
        media_type="text/markdown",
        parts=sectioned(stretches, title),
        bytes=len(data),
        author=author,
        language=language,
        created=moment(front.get("date")) or moment(front.get("created")),
        modified=moment(front.get("updated")) or moment(front.get("lastmod")),
        metadata=front | assumed(encoding),
    )


def _stretches(text: str) -> list[Stretch]:
    """Cut the text at its headings; fenced code has none, and comments are dropped."""
    found: list[Stretch] = []
    headings: list[Heading] = []
    body: list[str] = []
    fence = ""

    def end() -> None:
        found.extend(Stretch(list(headings), text, table) for text, table in _tables(body))
        body.clear()

    def begin(level: int, heading: str) -> None:
        end()
        open_heading(headings, level, _plain(heading))

    lines = deque(text.split("\n"))
    while lines:
        line = lines.popleft()
        mark = FENCE.match(line)
        if fence:
            body.append(line)
            if mark and mark[1].startswith(fence) and not line.strip(" `~\t"):
                fence = ""
        elif mark:
            fence = mark[1]
            body.append(line)
        elif line.lstrip().startswith("<!--"):
            _drop_comment(line, lines)
        elif len(line) > MAX_HEADING_CHARACTERS:
            body.append(line)
        elif atx := ATX.match(line):
            begin(len(atx[1]), atx[2] or "")
        elif (underline := UNDERLINE.match(line)) and body and not NOT_A_HEADING.match(body[-1]):
            begin(1 if underline[1][0] == "=" else 2, body.pop())
        else:
            body.append(line)
    end()
    return found


def _drop_comment(line: str, lines: deque[str]) -> None:
    """Drop an HTML comment, which is not for readers, and put back what follows it."""
    while "-->" not in line and lines:
        line = lines.popleft()
    rest = line.partition("-->")[2]
    if rest.strip():
        lines.appendleft(rest)


def _tables(lines: list[str]) -> Iterator[tuple[str, bool]]:
    """Yield the text between tables, and each table: a row of names, a rule, rows."""
    start = index = 0
    fence = ""
    while index < len(lines):
        mark = FENCE.match(lines[index])
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1].startswith(fence) and not lines[index].strip(" `~\t"):
            fence = ""
        if fence or not _begins_table(lines, index):
            index += 1
            continue
        stop = index + 2
        while stop < len(lines) and "|" in lines[stop]:
            stop += 1
        rows = [_cells(line) for line in (lines[index], *lines[index + 2 : stop])]
        if not is_table(rows):
            index = stop
            continue
        if start < index:
            yield _joined(lines[start:index]), False
        yield table(rows, header=True), True
        start = index = stop
    if start < len(lines) or start == 0:
        yield _joined(lines[start:]), False


def _begins_table(lines: list[str], index: int) -> bool:
    if index + 1 >= len(lines) or "|" not in lines[index] or "|" not in lines[index + 1]:
        return False
    rule = lines[index + 1]
    return len(rule) <= MAX_HEADING_CHARACTERS and RULE.match(rule) is not None


def _cells(line: str) -> list[str]:
    cells = CELL_END.split(line.strip().removeprefix("|"))
    if len(cells) > 1 and not cells[-1].strip():
        cells.pop()
    return [cell.replace("\\|", "|").strip() for cell in cells]


def _joined(lines: list[str]) -> str:
    """Join lines, without blank ends; leading spaces may be the indentation of code."""
    return "\n".join(lines).strip("\n").rstrip()


def _plain(heading: str) -> str:
    """Return a heading without emphasis and link targets."""
    return MARKUP.sub(lambda m: m[1] or m[2] or "", heading)


def _front_matter(text: str) -> tuple[str, dict[str, Any]]:
    """Split YAML front matter off; what does not parse stays text."""
    if not text.startswith("---\n"):
        return text, {}
    end = text.find("\n---", 3, MAX_FRONT_MATTER_CHARACTERS)
    if end < 0 or text[end + 4 : end + 5] not in {"", "\n"}:
        return text, {}
    import yaml

    try:
        found = yaml.safe_load(text[4 : end + 1])
    except (yaml.YAMLError, ValueError, RecursionError):
        return text, {}
    if not isinstance(found, dict):
        return text, {}
    # Plain values only: a nested one may expand without end through YAML's aliases.
    kept = {str(key).lower(): value for key, value in found.items() if _is_plain(value)}
    return text[end + 5 :], storable({k: _dated(value) for k, value in kept.items()})


def _is_plain(value: object) -> bool:
    if isinstance(value, list):
        return all(isinstance(item, str | int | float) for item in value)
    return isinstance(value, str | int | float | datetime.date)


def _dated(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime.date) else value

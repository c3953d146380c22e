"""JSON as one document, JSON Lines as a document a line; a bad line costs only itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.errors import DocumentEmpty, DocumentError, DocumentTooLarge, DocumentUnreadable
from knowledge.load.document import Document
from knowledge.load.records import load, load_each

LIMIT = 1 << 20


def lines(
    folder: Path, *texts: str | bytes, limit: int = LIMIT
) -> dict[int, Document | DocumentError]:
    """Load lines; return what came of each, by number."""
    path = folder / "data.jsonl"
    path.write_bytes(b"\n".join(t if isinstance(t, bytes) else t.encode() for t in texts))
    return dict(load_each(path, limit))


def one(folder: Path, **fields: object) -> Document:
    """Load one line with these fields."""
    found = lines(folder, json.dumps(fields))[1]
    assert isinstance(found, Document)
    return found


def test_a_line_is_a_document(tmp_path: Path) -> None:
    """Known fields have their place, others become metadata."""
    found = one(
        tmp_path, id=7, title="T", text="Hello.", author="Ada", language="en", section="A > B",
        page=3, metadata={"a": 1}, b=[2],
    )  # fmt: skip
    assert (found.fragment, found.title, found.author, found.language) == ("7", "T", "Ada", "en")
    assert (found.parts[0].text, found.parts[0].section, found.parts[0].page) == (
        "Hello.",
        "A > B",
        3,
    )
    assert found.metadata == {"a": 1, "b": [2], "id": 7}


def test_without_an_id_the_content_is_the_id(tmp_path: Path) -> None:
    """The id stays when lines above come and go."""
    first = one(tmp_path, text="Hello.")
    found = lines(tmp_path, '{"text": "another"}', '{"text": "Hello."}')[2]
    assert isinstance(found, Document)
    assert found.fragment == first.fragment
    assert found.title == "data"


@pytest.mark.parametrize(
    ("line", "kind", "words"),
    [
        ("not json", DocumentUnreadable, "not JSON"),
        ("[1]", DocumentUnreadable, "not a JSON object"),
        ('{"id": 1}', DocumentUnreadable, '"text"'),
        ('{"id": 1, "text": 5}', DocumentUnreadable, '"text"'),
        ('{"id": "x", "text": " "}', DocumentEmpty, "x"),
        (b'{"id": 1, "text": "\xff"}', DocumentUnreadable, "UTF-8"),
        ('{"id": "%s", "text": "a"}' % ("i" * 600), DocumentUnreadable, "id"),
        ('{"text": "a", "x": ' + "[" * 100 + "]" * 100 + "}", DocumentUnreadable, "deep"),
        ('{"text": "a", "x": ' + "[" * 90_000 + "]" * 90_000 + "}", DocumentUnreadable, "deep"),
        ('{"text": "%s"}' % ("a" * LIMIT), DocumentTooLarge, "1 MB"),
    ],
)
def test_a_bad_line_is_named_and_the_others_go_on(
    tmp_path: Path, line: str | bytes, kind: type[DocumentError], words: str
) -> None:
    """The error says what is wrong with line 2, and line 4 is read."""
    found = lines(tmp_path, '{"text": "first"}', line, "", '{"text": "last"}')
    assert sorted(found) == [1, 2, 4]
    bad = found[2]
    assert isinstance(bad, kind)
    assert words in bad.message
    assert isinstance(found[4], Document)


def test_an_id_counts_once(tmp_path: Path) -> None:
    """A second line of the same id would replace the first at each ingestion."""
    found = lines(tmp_path, '{"id": 1, "text": "a"}', '{"id": "1", "text": "b"}')
    assert isinstance(found[1], Document)
    assert isinstance(found[2], DocumentUnreadable)


def test_a_picture_is_one_failure(tmp_path: Path) -> None:
    """Binary data is refused as a whole, not line by line."""
    with pytest.raises(DocumentUnreadable):
        lines(tmp_path, bytes(range(256)) * 8)


def test_metadata_can_be_stored(tmp_path: Path) -> None:
    """What JSON allows and Postgres or JSON readers do not is replaced."""
    found = one(tmp_path, text="a\0b", n=10**30, x=float("inf"), s="\ud800", d={"\0": [True, None]})
    assert found.parts[0].text == "a\ufffdb"
    assert found.metadata == {
        "n": str(10**30), "x": "inf", "s": "\ufffd", "d": {"\ufffd": [True, None]}
    }  # fmt: skip


def test_json_becomes_named_values() -> None:
    """Any JSON reads as `key: value`, a part for each outer member, an entry a paragraph."""
    value = {"name": "Ada", "ok": True, "none": None, "jobs": [{"title": "x", "at": {"y": 1}}, "z"]}
    document = load(Path("data.json"), json.dumps(value).encode())
    assert [(part.section, part.text) for part in document.parts] == [
        ("", "name: Ada\n\nok: true"),
        ("jobs", "title: x; at.y: 1\n\nz"),
    ]


def test_json_with_a_text_is_read_like_a_line() -> None:
    """One record in a file of its own keeps its title and metadata."""
    document = load(Path("data.json"), b'{"id": 1, "title": "T", "text": "Hello.", "a": 2}')
    assert (document.title, document.text, document.fragment) == ("T", "Hello.", "")
    assert document.metadata == {"a": 2, "id": 1}


@pytest.mark.parametrize("data", [b"{nope", b"[" * 100_000, b'{"a": 1} x'])
def test_broken_json_is_refused(data: bytes) -> None:
    """What does not parse is damaged."""
    with pytest.raises(DocumentUnreadable):
        load(Path("data.json"), data)

"""The reading process: whatever a file does to it, the next file is read."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from core.errors import (
    DocumentEmpty,
    DocumentError,
    DocumentTooLarge,
    DocumentUnreadable,
    DocumentUnsupported,
)
from knowledge.load.document import Document, Part
from knowledge.load.reader import Reader

# Quadratic work for the HTML parser: minutes, were it not given up.
SLOW_PAGE = "<div>" * 400_000


@pytest.fixture
async def reader() -> AsyncIterator[Reader]:
    """A reader for files up to 1 MB."""
    async with Reader.open(limit_bytes=1 << 20, timeout_seconds=60) as opened:
        yield opened


async def contents(reader: Reader, path: Path) -> list[tuple[int, Document | DocumentError]]:
    """Return everything in a file."""
    return [found async for found in reader.read(path)]


async def only(reader: Reader, path: Path) -> Document | DocumentError:
    """Return the one thing in a file."""
    ((_, found),) = await contents(reader, path)
    return found


async def test_a_document_arrives_whole(reader: Reader, tmp_path: Path) -> None:
    """What the loader made comes through the pipe unchanged."""
    path = tmp_path / "ä b.md"
    path.write_text("---\nauthor: Ada\ntags: [1, x]\n---\n# T\nHello.\n## S\nÄ 😀\n")
    assert await only(reader, path) == Document(
        title="T",
        media_type="text/markdown",
        parts=(Part("Hello."), Part("Ä 😀", "S")),
        bytes=path.stat().st_size,
        author="Ada",
        metadata={"tags": [1, "x"]},
    )


async def test_lines_arrive_one_by_one(reader: Reader, tmp_path: Path) -> None:
    """Documents and errors of JSON Lines carry their line's number."""
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a"}\nbad\n{"text": "b"}\n')
    found = await contents(reader, path)
    assert [(line, type(item)) for line, item in found] == [
        (1, Document),
        (2, DocumentUnreadable),
        (3, Document),
    ]


async def test_a_file_that_hangs_the_parser_is_given_up(tmp_path: Path) -> None:
    """After the timeout the process is gone, the file has failed, and the next one is read."""
    slow, good = tmp_path / "slow.html", tmp_path / "good.txt"
    slow.write_text(SLOW_PAGE)
    good.write_text("Fine.")
    async with Reader.open(limit_bytes=8 << 20, timeout_seconds=1.5) as reader:
        failed = await only(reader, slow)
        assert isinstance(failed, DocumentUnreadable)
        assert "1.5 s" in failed.message
        assert isinstance(await only(reader, good), Document)


async def test_a_process_that_dies_costs_one_file(reader: Reader, tmp_path: Path) -> None:
    """When the process is killed between two files, the next read fails and the one after works."""
    path = tmp_path / "a.txt"
    path.write_text("Fine.")
    await only(reader, path)
    assert reader._process is not None
    reader._process.kill()
    await reader._process.wait()
    assert isinstance(await only(reader, path), DocumentUnreadable)
    assert isinstance(await only(reader, path), Document)


async def test_a_reader_may_stop_in_the_middle(reader: Reader, tmp_path: Path) -> None:
    """Leaving a file of many documents early does not mix it up with the next file."""
    many, good = tmp_path / "many.jsonl", tmp_path / "good.txt"
    many.write_text('{"text": "a"}\n{"text": "b"}\n')
    good.write_text("Fine.")
    stream = reader.read(many)
    await anext(stream)
    await stream.aclose()
    found = await only(reader, good)
    assert isinstance(found, Document)
    assert found.text == "Fine."


async def test_secrets_stay_with_the_parent(
    reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever parses strangers' files has no password in its environment."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://somebody:secret@localhost/parley")
    path = tmp_path / "a.txt"
    path.write_text("Fine.")
    await only(reader, path)
    assert reader._process is not None
    environment = psutil.Process(reader._process.pid).environ()
    assert "secret" not in str(environment)
    assert "PATH" in environment


async def test_files_that_are_no_files_are_refused(reader: Reader, tmp_path: Path) -> None:
    """A named pipe is not waited for, links to nowhere and in circles are explained."""
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "broken.txt").symlink_to("nowhere.txt")
    (tmp_path / "loop.txt").symlink_to("loop.txt")
    pipe = await only(reader, tmp_path / "pipe.txt")
    broken = await only(reader, tmp_path / "broken.txt")
    loop = await only(reader, tmp_path / "loop.txt")
    assert isinstance(pipe, DocumentUnsupported)
    assert isinstance(broken, DocumentUnreadable)
    assert "nowhere.txt" in broken.message
    assert isinstance(loop, DocumentUnreadable)
    assert "circle" in loop.message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
async def test_a_file_without_permission_is_refused(reader: Reader, tmp_path: Path) -> None:
    """The sentence says that permission is what lacks."""
    path = tmp_path / "a.txt"
    path.write_text("x")
    path.chmod(0)
    found = await only(reader, path)
    assert isinstance(found, DocumentUnreadable)
    assert "Permission" in found.message


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("a.txt", b"", DocumentEmpty),
        ("a.md", b" \n\xe2\x80\x8b\n", DocumentEmpty),
        ("a.html", b"<script>x()</script>", DocumentEmpty),
        ("a.txt", b"x" * ((1 << 20) + 1), DocumentTooLarge),
        ("a.exe", b"MZ", DocumentUnsupported),
    ],
)
async def test_files_without_text_are_typed_failures(
    reader: Reader, tmp_path: Path, name: str, data: bytes, kind: type[DocumentError]
) -> None:
    """Empty, blank, too large and unknown files each have an error of their own."""
    (tmp_path / name).write_bytes(data)
    assert type(await only(reader, tmp_path / name)) is kind


async def test_a_file_without_a_suffix_is_tried_as_text(reader: Reader, tmp_path: Path) -> None:
    """README and LICENSE are documents."""
    (tmp_path / "LICENSE").write_text("Do what is right.")
    assert isinstance(await only(reader, tmp_path / "LICENSE"), Document)


@pytest.fixture
def unprintable(tmp_path: Path) -> Path:
    """A file whose name is not text."""
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9\n.txt"))
    try:
        path.write_text("Fine.")
    except OSError:
        pytest.skip("this file system wants text as names")
    return path


async def test_a_name_that_is_not_text_can_be_read(reader: Reader, unprintable: Path) -> None:
    """File names are bytes; any of them arrives."""
    found = await only(reader, unprintable)
    assert isinstance(found, Document)
    assert found.title == "caf\ufffd"

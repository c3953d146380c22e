"""How the commands look on a terminal, and to machines."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.table import Table
from rich.text import Text

from core.turn import Passage
from knowledge.files import Failure
from knowledge.ingest import Outcome, Progress, Silent, Summary

COUNTS = ("added", "changed", "unchanged", "removed", "failed")
SIZES = ("chunks", "embedded", "tokens")
EXCERPT_CHARACTERS = 240
EVERY = 200  # documents of one file between two lines


@contextmanager
def progress(*, silent: bool = False) -> Iterator[Progress]:
    """Show an ingestion on stderr: as a bar on a terminal, as lines elsewhere."""
    console = Console(stderr=True)
    if silent:
        yield Silent()
    elif console.is_terminal:
        with RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[done]} documents, {task.fields[chunks]} chunks"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        ) as bar:
            yield Bar(bar)
    else:
        yield Lines()


class Bar:
    """A bar as long as the bytes to read."""

    def __init__(self, bar: RichProgress) -> None:
        self._bar = bar
        self._task = bar.add_task("reading", total=None, done=0, chunks=0)
        self._done = self._chunks = 0

    def begin(self, files: int, size_bytes: int) -> None:
        """Set the length of the bar."""
        self._bar.update(self._task, total=size_bytes)

    def finish(self, shown: str, outcome: Outcome, size_bytes: int, chunks: int) -> None:
        """Move on by a document."""
        self._done += 1
        self._bar.update(self._task, advance=size_bytes, done=self._done)

    def fail(self, failure: Failure) -> None:
        """Failures are listed at the end."""

    def embed(self, chunks: int) -> None:
        """Count chunks, which come long before a large document is done."""
        self._chunks += chunks
        self._bar.update(self._task, description="embedding", chunks=self._chunks)


class Lines:
    """A line a document, or every so many documents of one file."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def begin(self, files: int, size_bytes: int) -> None:
        """Say how much there is to do."""
        _note(f"reading {counted(files, 'file')}, {size_bytes / 1e6:.1f} MB")

    def finish(self, shown: str, outcome: Outcome, size_bytes: int, chunks: int) -> None:
        """Say what became of a document, unless nothing did."""
        if outcome == "unchanged":
            return
        self._seen[shown] += 1
        if self._seen[shown] == 1:
            _note(f"{outcome} {shown}" + (f" ({counted(chunks, 'chunk')})" if chunks else ""))
        elif self._seen[shown] % EVERY == 0:
            _note(f"{self._seen[shown]} documents of {shown}")

    def fail(self, failure: Failure) -> None:
        """Failures are listed at the end."""

    def embed(self, chunks: int) -> None:
        """Say nothing: the line of the document comes soon."""


def sentence(summary: Summary) -> str:
    """Return a summary as one line, and a line for each document that is not as it was read."""
    counts = {key: getattr(summary, key) for key in COUNTS}
    line = ", ".join(f"{key} {count}" for key, count in counts.items())
    if summary.skipped:
        line += f", skipped {summary.skipped} (pictures and the like)"
    return (
        f"{line}: {counted(summary.chunks, 'chunk')}, {counted(summary.tokens, 'token')} "
        f"in {summary.seconds:.1f} s ({summary.chunks_per_second:.1f} chunks/s)"
        + "".join(f"\nlost: {printable(difference)}" for difference in summary.differences)
    )


def describe(summary: Summary) -> dict[str, Any]:
    """Return a summary as JSON."""
    return {
        **{key: getattr(summary, key) for key in (*COUNTS, "skipped", *SIZES)},
        "seconds": round(summary.seconds, 3),
        "embedding_seconds": round(summary.embedding_seconds, 3),
        "chunks_per_second": round(summary.chunks_per_second, 1),
        "checked": summary.checked,
        "differences": summary.differences,
        "failures": [
            {"path": f.path, "code": f.code, "message": f.error.message} for f in summary.failures
        ],
    }


def show(passages: Sequence[Passage]) -> None:
    """Print passages as a table, best first."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 1, 0))
    for column in ("score", "vector", "keyword"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("passage", overflow="fold")
    for passage in passages:
        place = [passage["title"], passage["section"]]
        if passage["page"] is not None:
            place.append(f"page {passage['page']}")
        text = " ".join(passage["text"].split())
        if len(text) > EXCERPT_CHARACTERS:
            text = text[:EXCERPT_CHARACTERS] + "…"
        found = Text(printable(" · ".join(filter(None, place))), style="bold")
        found.append(f"\n{printable(text)}\n{printable(passage['uri'])}", style="not bold")
        scores = [passage["scores"].get(key) for key in ("vector", "keyword")]
        table.add_row(
            f"{passage['score']:.3f}",
            *("–" if score is None else f"{score:.3f}" for score in scores),
            found,
        )
    Console(markup=False, highlight=False).print(table)


def printable(text: str) -> str:
    """Return text without what would command a terminal: documents come from anywhere."""
    return "".join(c if c.isprintable() else " " for c in text)


def counted(count: int, noun: str) -> str:
    """Return `1 chunk`, `2 chunks`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _note(line: str) -> None:
    sys.stderr.write(printable(line) + "\n")

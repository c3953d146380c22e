"""A batch of jobs on a terminal: bars while it is worked on, lines where there is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress

from knowledge.batches import Batch, State
from knowledge.console import counted

NO_WORKER = (
    "no worker is running; start one with `python -m knowledge work`, or the server with `make run`"
)


class Watcher(Protocol):
    """Hears how far a batch is."""

    def show(self, state: State) -> None:
        """So far."""


@contextmanager
def watcher(batch: Batch, *, silent: bool = False) -> Iterator[Watcher]:
    """Show a batch on stderr until the block ends."""
    console = Console(stderr=True)
    if silent:
        yield Nobody()
    elif console.is_terminal:
        with RichProgress(
            TextColumn("{task.description:9}"),
            BarColumn(),
            MofNCompleteColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[more]}"),
            TimeRemainingColumn(),
            console=console,
        ) as bars:
            yield Bars(bars, batch)
    else:
        yield Lines(batch)


class Nobody:
    """A watcher that shows nothing."""

    def show(self, state: State) -> None:
        """Do nothing."""


class Bars:
    """A bar of documents and a bar of megabytes."""

    def __init__(self, bars: RichProgress, batch: Batch) -> None:
        self._bars = bars
        total = batch.documents + batch.forgotten
        self._documents = bars.add_task("documents", total=total, more="")
        self._bytes = bars.add_task("megabytes", total=round(batch.size_bytes / 1e6), more="")

    def show(self, state: State) -> None:
        """Move the bars."""
        through = state.done + state.parked + state.cancelled
        more = f"{state.working} at work, {counted(state.chunks, 'chunk')}"
        if state.parked:
            more += f", {state.parked} parked"
        self._bars.update(self._documents, completed=through, more=more)
        self._bars.update(self._bytes, completed=round(state.done_bytes / 1e6))


class Lines:
    """A line whenever a tenth more is through."""

    def __init__(self, batch: Batch) -> None:
        self._total = max(1, batch.documents + batch.forgotten)
        self._tenths = -1

    def show(self, state: State) -> None:
        """Say how far it is, now and then."""
        through = state.done + state.parked + state.cancelled
        tenths = 10 * through // self._total
        if tenths > self._tenths:
            self._tenths = tenths
            parked = f", {state.parked} parked" if state.parked else ""
            sys.stderr.write(f"{through} of {counted(self._total, 'document')}{parked}\n")


def sentence(state: State) -> str:
    """Return the end of a batch as one line."""
    keys = ("added", "changed", "unchanged", "removed", "parked")
    counts = ", ".join(f"{key} {getattr(state, key)}" for key in keys)
    return f"{counts}: {counted(state.chunks, 'chunk')}"


def describe(batch: Batch, state: State | None) -> dict[str, Any]:
    """Return a batch as JSON."""
    return {
        "batch_id": str(batch.batch_id),
        "documents": batch.documents,
        "forgotten": batch.forgotten,
        "bytes": batch.size_bytes,
        "skipped": batch.skipped,
        "failures": [{"path": f.path, "code": f.code} for f in batch.failures],
        "state": asdict(state) if state else None,
    }

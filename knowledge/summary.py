"""What an ingestion did, and who hears about it while it goes on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

from knowledge.files import Failure

Outcome = Literal["added", "changed", "unchanged", "removed"]


class Progress(Protocol):
    """Hears what an ingestion is doing."""

    def begin(self, files: int, size_bytes: int) -> None:
        """So much is going to be read."""

    def finish(self, shown: str, outcome: Outcome, size_bytes: int, chunks: int) -> None:
        """A document is as it should be."""

    def fail(self, failure: Failure) -> None:
        """A document could not be read; the others go on."""

    def embed(self, chunks: int) -> None:
        """So many more chunks have vectors."""


class Silent:
    """Progress that nobody watches."""

    def begin(self, files: int, size_bytes: int) -> None:
        """Do nothing."""

    def finish(self, shown: str, outcome: Outcome, size_bytes: int, chunks: int) -> None:
        """Do nothing."""

    def fail(self, failure: Failure) -> None:
        """Do nothing."""

    def embed(self, chunks: int) -> None:
        """Do nothing."""


@dataclass(slots=True)
class Summary:
    """What an ingestion did. Counts are documents, except where they say otherwise."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    skipped: int = 0  # files that are no documents, such as pictures
    chunks: int = 0  # of the documents stored now
    embedded: int = 0  # of these chunks; the others had their vectors already
    tokens: int = 0  # in these chunks
    seconds: float = 0.0
    embedding_seconds: float = 0.0  # of `seconds`, while the model was working
    failures: list[Failure] = field(default_factory=list)
    # What the database does not hold of what was read; empty means that nothing was lost.
    differences: list[str] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """Documents that could not be read."""
        return len(self.failures)

    @property
    def read(self) -> int:
        """Documents that could be read."""
        return self.added + self.changed + self.unchanged

    @property
    def checked(self) -> Literal["ok", "differences"]:
        """Whether the database holds what was read, counted after it was stored."""
        return "differences" if self.differences else "ok"

    @property
    def chunks_per_second(self) -> float:
        """Chunks stored in a second of the whole ingestion."""
        return self.chunks / self.seconds if self.seconds else 0.0

    @property
    def succeeded(self) -> bool:
        """True when every path exists, something could be read or forgotten, nothing was lost."""
        missing = any(failure.missing for failure in self.failures)
        return not missing and not self.differences and self.read + self.removed > 0

"""Holds a streamed answer until it may leave.

Nothing leaves before the first valid citation when the answer must cite, and then it leaves
sentence by sentence. So an answer without support is never shown and taken back, and a marker
that names no source is never shown at all.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from core.turn import Citation, Passage

_MARKER = re.compile(r"\[(\d{1,3})\]")
_STRAY = re.compile(r"[ \t]*\[(\d{1,3})\]")
# A sentence has ended when something other than a marker follows it; a line has when one begins.
_BORDER = re.compile(
    r"""(?<=[.!?…])["'”’)\]]*(?:[ \t]*\[\d{1,3}\])*\s+(?=[^\s\[])|\n+(?=[^\s\[])"""
)
_KEY_BEGIN, _KEY_END = "-----BEGIN ", "-----END "
QUOTE_CHARACTERS = 240


class AnswerGate:
    """Feed it chunks; it says what may leave now, and keeps count of what has left."""

    def __init__(self, passages: Sequence[Passage], *, must_cite: bool) -> None:
        self._passages = passages
        self._held: list[str] = []  # whole sentences that wait for the first citation
        self._tail = ""  # the unfinished sentence
        self._cited = not must_cite
        self._seen: set[int] = set()
        self.released = ""
        self.citations: list[Citation] = []

    def feed(self, chunk: str) -> list[str]:
        """Take a chunk of the stream; return the stretches that may leave, in order."""
        self._tail += chunk
        if _KEY_BEGIN in self._tail and _KEY_END not in self._tail:
            return []  # a key block is judged whole, not line by line
        done, start = [], 0
        for border in _BORDER.finditer(self._tail):
            done.append(self._tail[start : border.end()])
            start = border.end()
        self._tail = self._tail[start:]
        return self._sentences(done)

    def finish(self) -> list[str]:
        """Return what is left at the end of the stream; without any citation, nothing."""
        last, self._tail = self._tail, ""
        return self._sentences([last] if last.strip() else [])

    def release(self, stretch: str) -> list[Citation]:
        """Count `stretch` as released; return the citations that appear for the first time."""
        self.released += stretch
        new = []
        for marker in self._valid(stretch):
            if marker not in self._seen:
                self._seen.add(marker)
                new.append(cite(marker, self._passages[marker - 1]))
        self.citations += new
        return new

    def _sentences(self, sentences: list[str]) -> list[str]:
        cleaned = [_STRAY.sub(self._keep, sentence) for sentence in sentences]
        self._held += [sentence for sentence in cleaned if sentence]
        self._cited = self._cited or any(self._valid(sentence) for sentence in self._held)
        if not self._cited:
            return []
        ready, self._held = self._held, []
        return ready

    def _valid(self, text: str) -> list[int]:
        markers = [int(number) for number in _MARKER.findall(text)]
        return [marker for marker in markers if 1 <= marker <= len(self._passages)]

    def _keep(self, match: re.Match[str]) -> str:
        return match.group() if self._valid(match.group()) else ""


def cite(marker: int, passage: Passage) -> Citation:
    """Return the citation of `passage` under the number it has in the prompt."""
    text = " ".join(passage["text"].split())
    quote = text if len(text) <= QUOTE_CHARACTERS else text[: QUOTE_CHARACTERS - 1].rstrip() + "…"
    return Citation(
        marker=marker,
        chunk_id=passage["chunk_id"],
        document_id=passage["document_id"],
        uri=passage["uri"],
        title=passage["title"],
        section=passage["section"],
        page=passage["page"],
        quote=quote,
    )

"""Holds a streamed answer until it may leave.

Nothing leaves before the first valid citation when the answer must cite, and then it leaves
sentence by sentence. So an answer without support is never shown and taken back, and a marker
that names no source is never shown at all.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.sentences import split
from core.turn import Citation, Passage
from knowledge.merge import pinpoint
from nodes.facts import stems

# A marker with the blanks before it; what stands in backticks is code, where [1] is an index.
_MARKER = re.compile(r"`[^`\n]*`|[ \t]*\[(\d{1,3})\]")
_FENCE = "```"
# A sentence has ended when something other than a marker follows it; a line has when one begins.
_BORDER = re.compile(
    r"""(?<=[.!?…])["'”’)\]]*(?:[ \t]*\[\d{1,3}\])*\s+(?=[^\s\[])|\n+(?=[^\s\[])"""
)
_ENDS = frozenset(".!?…\n")
_KEY_BEGIN, _KEY_END = "-----BEGIN ", "-----END "
QUOTE_CHARACTERS = 240


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the answer that may leave."""

    text: str
    markers: tuple[int, ...]  # of the sources it cites, in order
    is_code: bool = False  # between fences, or a fence itself


class AnswerGate:
    """Feed it chunks; it says what may leave now, and keeps count of what has left."""

    def __init__(
        self, passages: Sequence[Passage], *, must_cite: bool, whole_sentences: bool = True
    ) -> None:
        """whole_sentences: nothing leaves before its sentence has ended."""
        self._passages = passages
        self._whole_sentences = whole_sentences or must_cite
        self._held: list[Stretch] = []  # whole sentences that wait for the first citation
        self._tail = ""  # the unfinished sentence
        self._may_end = False  # the tail holds something a sentence or a line may end with
        self._in_code = False  # between two fences
        self._cited = not must_cite
        self._seen: set[int] = set()
        self.released = ""
        self.citations: list[Citation] = []

    def feed(self, chunk: str) -> list[Stretch]:
        """Take a chunk of the stream; return the stretches that may leave, in order."""
        if not self._whole_sentences:
            return self._sentences([chunk] if chunk else [])
        self._tail += chunk
        if not self._may_end and _ENDS.isdisjoint(chunk):
            return []  # nothing that ends a sentence or a line has come since the last border
        self._may_end = True
        if _KEY_BEGIN in self._tail and _KEY_END not in self._tail:
            return []  # a key block is judged whole, not line by line
        done, start = [], 0
        for border in _BORDER.finditer(self._tail):
            done.append(self._tail[start : border.end()])
            start = border.end()
        self._tail = self._tail[start:]
        self._may_end = not _ENDS.isdisjoint(self._tail)
        return self._sentences(done)

    def finish(self) -> list[Stretch]:
        """Return what is left at the end of the stream; without any citation, nothing."""
        last, self._tail = self._tail, ""
        return self._sentences([last] if last.strip() else [])

    def release(self, stretch: Stretch, text: str) -> list[Citation]:
        """Count `stretch` as released, as `text`; return the citations that are new with it."""
        self.released += text
        new = []
        for marker in stretch.markers:
            if marker not in self._seen:
                self._seen.add(marker)
                passage = pinpoint(self._passages[marker - 1], text)
                new.append(cite(marker, passage, text))
        self.citations += new
        return new

    def _sentences(self, sentences: list[str]) -> list[Stretch]:
        cleaned = [self._clean(sentence) for sentence in sentences]
        self._held += [stretch for stretch in cleaned if stretch.text]
        self._cited = self._cited or any(stretch.markers for stretch in self._held)
        if not self._cited:
            return []
        ready, self._held = self._held, []
        return ready

    def _clean(self, sentence: str) -> Stretch:
        """Return a sentence with its markers, without those that name no source."""
        markers: list[int] = []

        def keep(match: re.Match[str]) -> str:
            if match.group(1) is None:
                return match.group()
            marker = int(match.group(1))
            if not 1 <= marker <= len(self._passages):
                return ""
            markers.append(marker)
            return match.group()

        parts = sentence.split(_FENCE)
        is_code = self._in_code or len(parts) > 1
        for place, part in enumerate(parts):
            self._in_code ^= place > 0
            if not self._in_code:
                parts[place] = _MARKER.sub(keep, part)
        return Stretch(_FENCE.join(parts), tuple(markers), is_code)


def cite(marker: int, passage: Passage, said: str = "") -> Citation:
    """Return the citation of `passage` under the number it has in the prompt.

    said: what it is cited for.
    """
    return Citation(
        marker=marker,
        chunk_id=passage["chunk_id"],
        document_id=passage["document_id"],
        uri=passage["uri"],
        title=passage["title"],
        section=passage["section"],
        page=passage["page"],
        quote=quote(passage["text"], said),
    )


def quote(text: str, said: str) -> str:
    """Return the sentence of a passage that shares most words with what was said, with its end
    marked where it is cut; the beginning of the passage when none shares any.
    """
    wanted = stems(said)
    sentences = [text[one.start : one.stop] for one in split(text)]
    shared = [len(wanted & stems(one)) for one in sentences]
    best = shared.index(max(shared)) if any(shared) else -1
    chosen = " ".join((sentences[best] if best >= 0 else text).split())
    if len(chosen) <= QUOTE_CHARACTERS:
        return chosen
    return chosen[: QUOTE_CHARACTERS - 1].rstrip() + "…"

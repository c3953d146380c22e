"""Summarises by extraction: the lead and the most central sentences; a title from its words."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.sentences import split
from tgi.embedded.answer import clean, shorten
from tgi.embedded.vectors import Vectors
from tgi.embedded.words import content, words

SUMMARY_WORDS = 80
TITLE_WORDS = 8
MAX_SENTENCES = 3
LEAD = 0.15  # the opening of a text usually says what it is about
EMBEDDED = 24  # of a long text: its beginning, then evenly spread

_ASKS_TITLE = re.compile(
    r"^\W{0,8}(?:please |now |you )?"
    r"(?:write|give|suggest|create|generate|make|find|propose|choose)s?\b[^.\n]{0,60}\b(?:title|headline)s?\b|^\W{0,8}title:?\s*\n",
    re.IGNORECASE | re.MULTILINE,
)
_ASKS_SUMMARY = re.compile(
    r"^\W{0,8}(?:please |now |can you |could you |you )?(?:summari[sz]es?|sum up|condense|tl;?dr)\b"
    r"|^\W{0,8}(?:please |now |you )?(?:write|give|create|make)s?\b[^.\n]{0,60}\bsummary\b",
    re.IGNORECASE | re.MULTILINE,
)
_SPEAKER = re.compile(
    r"^\W{0,2}(?:user|assistant|system|human|ai)\W{0,2}:[ \t]*", re.IGNORECASE | re.MULTILINE
)
_TAG = re.compile(r"<(\w+)>")
_ASKING = re.compile(
    r"^(?:hi|hello|hey|please|can you|could you|would you|tell me"
    r"|i (?:want|would like|need) to know|do you know"
    r"|what(?:'s| is| are| was| were)|who(?:'s| is| was)"
    r"|how (?:(?:do|can|should) (?:i|we|you)|does|to)"
    r"|where(?:'s| is)|when(?:'s| is| was)|explain|about|the|a|an|i|my)\b[\s,:]*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Task:
    """A text to condense, and what into."""

    kind: Literal["summary", "title"]
    text: str


def asked(instruction: str, text: str) -> Task | None:
    """Return the task when `instruction` asks for a summary or a title, of `text`.

    An instruction that carries its text with it is split behind its first line or colon;
    without any text there is no task.
    """
    if _ASKS_TITLE.search(instruction):
        kind: Literal["summary", "title"] = "title"
    elif _ASKS_SUMMARY.search(instruction):
        kind = "summary"
    else:
        return None
    body = text if text != instruction else _body(text)
    return Task(kind, body) if body.strip() else None


def title(text: str) -> str:
    """Return up to TITLE_WORDS words of the first thing that was said."""
    spoken = _SPEAKER.sub("", text)
    segments = split(spoken)
    first = clean(spoken[segments[0].start : segments[0].stop]) if segments else ""
    asking = first
    while (shorter := _ASKING.sub("", asking, count=1)) != asking:
        asking = shorter
    kept = (asking if len(asking.split()) > 1 else first).split()
    short = " ".join(kept[:TITLE_WORDS]).strip(" .,;:!?…\"'“”")
    return short[:1].upper() + short[1:]


async def summarise(text: str, vectors: Vectors) -> str:
    """Return the one to three sentences that stand nearest to everything else, in their order."""
    spoken = _SPEAKER.sub("\n", text)
    segments = [part for part in split(spoken) if part.kind in ("sentence", "item")]
    sentences = list(
        dict.fromkeys(s for part in segments if (s := clean(spoken[part.start : part.stop])))
    )
    if len(sentences) <= 1:
        return shorten(sentences[0], SUMMARY_WORDS, ()) if sentences else ""
    if len(sentences) > EMBEDDED:
        step = len(sentences) / EMBEDDED
        sentences = [sentences[math.floor(index * step)] for index in range(EMBEDDED)]
    told = await vectors.passages(sentences)
    centre = told.mean(axis=0)
    counts = Counter(word.stem for s in sentences for word in content(words(s)))
    weight = [
        sum(counts[stem] - 1 for stem in {word.stem for word in content(words(s))})
        / (2 + len(s.split()))
        for s in sentences
    ]
    scores = told @ centre / (float(np.linalg.norm(centre)) or 1.0)
    scores = scores + 0.2 * np.array(weight) / (max(weight) or 1.0)
    scores[0] += LEAD
    chosen: list[int] = []
    room = SUMMARY_WORDS
    for index in np.argsort(-scores, kind="stable"):
        length = len(sentences[index].split())
        alike = any(float(told[index] @ told[other]) > 0.85 for other in chosen)
        if length <= room and length > 2 and not alike and len(chosen) < MAX_SENTENCES:
            chosen.append(int(index))
            room -= length
    if not chosen:
        return shorten(sentences[0], SUMMARY_WORDS, ())
    return " ".join(sentences[index] for index in sorted(chosen))


def _body(text: str) -> str:
    """Return what an instruction is about: tagged, behind its first line, or behind its colon."""
    if tag := _TAG.search(text):
        end = text.find(f"</{tag.group(1)}>", tag.end())
        if end >= 0:
            return text[tag.end() : end].strip()
    head, _, rest = text.strip().partition("\n")
    return rest.strip() or head.partition(":")[2].strip()

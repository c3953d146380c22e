"""Small talk: says what the prompt's own examples say."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tgi.embedded.answer import ABSTAIN
from tgi.embedded.vectors import Vectors
from tgi.embedded.words import content, words

NEAR = 0.25  # cosine plus shared words; questions of fact stay below 0.15 of any small talk
_CITED = re.compile(r"\[\d{1,3}\]")


async def reply(text: str, examples: Sequence[tuple[str, str]], vectors: Vectors) -> str:
    """Return the answer of the example nearest to `text`, or that one does not know.

    examples: (what a user says, what to answer), from the prompt.
    """
    usable = [(said, answer) for said, answer in examples if said and not _CITED.search(answer)]
    if not usable or not text.strip():
        return ABSTAIN
    asked = await vectors.query(text)
    cosines = await vectors.passages([said for said, _ in usable]) @ asked
    own = {word.stem for word in words(text)}
    said_words = [{word.stem for word in words(said)} for said, _ in usable]
    shared = [len(own & said) / (len(own | said) or 1) for said in said_words]
    scores = [float(cosine) + 0.3 * share for cosine, share in zip(cosines, shared, strict=True)]
    best = max(range(len(usable)), key=lambda index: (scores[index], -index))
    if scores[best] < NEAR or _asks_more(text, usable[best][0]):
        return ABSTAIN
    return usable[best][1]


def _asks_more(text: str, example: str) -> bool:
    """Return whether `text` is about so much that the example does not mention."""
    known = {word.stem for word in words(example)}
    return sum(word.stem not in known for word in content(words(text))) > 6

"""Does the check of answers against their sources let through what they say, and nothing else?

Statements are made from questions and their answers (SQuAD, Rajpurkar et al. 2016; QED, Lamm et
al. 2020; both CC BY-SA): "Who discovered oxygen?" becomes "Scheele discovered oxygen".
Each is checked against the paragraph that entails it, and against what must not pass: the same
with another number or name of the article, with a "not", or cited to another paragraph of the
article. Half of the articles chose the thresholds; `unseen` is the other half.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.sentences import split
from core.split import in_first_half
from core.turn import Passage
from embeddings.base import Embedder
from embeddings.minilm import MiniLM
from evals.cases import read
from evals.spread import share
from nodes.facts import facts
from nodes.support import SupportCheck

_ASKING = re.compile(
    r"\b(?:what|which|who|whom|whose|where|when|why"
    r"|how (?:many|much|long|old|far|tall|often)|how)\b",
    re.IGNORECASE,
)
_HELPING = re.compile(r"\b(?:did|does|do)\b\s*", re.IGNORECASE)
_VERB = re.compile(r"\b(?:is|was|are|were|has|had|have|can|could|will|would)\b", re.IGNORECASE)
SEED = 7


@dataclass(frozen=True, slots=True)
class Trial:
    """One statement, cited to one paragraph."""

    kind: str  # entailed | quoted | number | name | negation | elsewhere
    statement: str
    paragraph: dict[str, Any]


async def run(data: Path, *, sample: int | None = None, seed: int = SEED) -> dict[str, Any]:
    """Return the share of each kind of statement that passes, for all articles and unseen ones."""
    corpus = {row["id"]: row for row in read(data, "corpus")}
    asked = read(data, "queries")
    if sample is not None and sample < len(asked):
        asked = random.Random(seed).sample(asked, sample)
    embedder = MiniLM.load()
    try:
        passed: dict[str, list[bool]] = defaultdict(list)
        unseen: dict[str, list[bool]] = defaultdict(list)
        for trial in trials(corpus, asked, seed):
            result = await passes(trial, embedder)
            passed[trial.kind].append(result)
            if not in_first_half(trial.paragraph["title"]):
                unseen[trial.kind].append(result)
    finally:
        embedder.close()
    report: dict[str, Any] = {f"passes_{kind}": share(hits) for kind, hits in passed.items()}
    report["unseen"] = {f"passes_{kind}": share(hits) for kind, hits in unseen.items()}
    return report


async def passes(trial: Trial, embedder: Embedder) -> bool:
    """Return whether the check lets a statement through."""
    check = SupportCheck([passage(trial.paragraph)], embedder)
    return (await check.check(f"{trial.statement} [1].", [1])).supported


def trials(
    corpus: dict[str, dict[str, Any]], asked: Sequence[dict[str, Any]], seed: int
) -> Iterator[Trial]:
    """Yield the statements of the questions, true and false ones."""
    chance = random.Random(seed)
    article: dict[str, list[dict[str, Any]]] = defaultdict(list)
    answers: dict[str, list[str]] = defaultdict(list)
    for row in corpus.values():
        article[row["title"]].append(row)
    for row in asked:
        answers[corpus[row["doc"]]["title"]] += row["answers"][:1]
    for row in asked:
        gold, answer = corpus[row["doc"]], next(iter(row["answers"]), "")
        true = state(row["question"], answer)
        if not answer or true is None:
            continue
        yield Trial("entailed", true, gold)
        if quoted := holding(gold["text"], answer):
            yield Trial("quoted", quoted, gold)
            if denied := negated(quoted):
                yield Trial("negation", denied, gold)
        kind = "number" if facts(answer).numbers else "name"
        if facts(f"It is {answer}").numbers or facts(f"It is {answer}").names:
            others = [
                other
                for other in answers[gold["title"]]
                if other.casefold() not in gold["text"].casefold()
                and kind == ("number" if facts(other).numbers else "name")
                and (facts(f"It is {other}").numbers or facts(f"It is {other}").names)
            ]
            false = state(row["question"], chance.choice(others)) if others else None
            if false is not None:
                yield Trial(kind, false, gold)
        elsewhere = [other for other in article[gold["title"]] if answer not in other["text"]]
        if elsewhere:
            yield Trial("elsewhere", true, chance.choice(elsewhere))


def state(question: str, answer: str) -> str | None:
    """Return the question with its answer in the place of "who" or "how many"; None without one."""
    asking = _ASKING.search(question)
    if asking is None:
        return None
    rest = _HELPING.sub("", question[asking.end() :], count=1)
    said = f"{question[: asking.start()]}{answer}{rest}".strip().rstrip("?").strip()
    return said[:1].upper() + said[1:]


def holding(text: str, answer: str) -> str | None:
    """Return the sentence of `text` that holds the answer."""
    for part in split(text):
        sentence = " ".join(text[part.start : part.stop].split())
        if answer in sentence:
            return sentence.rstrip(".")
    return None


def negated(sentence: str) -> str | None:
    """Return the sentence with "not" behind its first verb; None where it has none, or denies."""
    if re.search(r"\b(?:not|never|no)\b|n['’]t\b", sentence, re.IGNORECASE):
        return None
    verb = _VERB.search(sentence)
    return f"{sentence[: verb.end()]} not{sentence[verb.end() :]}" if verb else None


def passage(row: dict[str, Any]) -> Passage:
    """Return a paragraph of a set as search would."""
    return Passage(
        chunk_id=1,
        document_id=row["id"],
        uri=row["id"],
        title=row["title"],
        section="",
        page=None,
        ordinal=0,
        text=row["text"],
        tokens=0,
        score=1.0,
        scores={},
    )

"""Are answers right, do they cite the right passage, and does Parley know when it does not know?

Data: a set, or a folder of sets, each with corpus.jsonl, queries.jsonl and, optionally,
unanswerable_v2.jsonl, possibly gzipped: SQuAD (Rajpurkar et al. 2016, 2018) and QED on Natural
Questions (Lamm et al. 2020), both CC BY-SA. Questions are asked over HTTP.
What the extractive model was fitted on is half of the articles; the figures are of the other
half, those of all articles stand beside them under "whole".
An answer over HTTP is given or not; how sure the model was, which AUROC needs, it does not say.
Those figures are computed beside it, by the same models on the same questions.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import string
import tempfile
import time
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import httpx
from rich.progress import Progress

from core.split import in_first_half
from embeddings.minilm import MiniLM
from evals.cases import gather, read
from evals.measuring import area, judge
from evals.scratch import scratch_server
from evals.spread import percentile, share
from tgi.embedded import parameters
from tgi.embedded.answer import DISAGREE

SETS = ("squad_v11", "qed_nq")

MAX_WORDS = 80  # a longer reply does not count as an answer
CONCURRENCY = 4
MOST = 0.8  # share of a marked sentence's words, in order
TIMEOUT_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Question:
    """One question; `answers` is empty when the corpus holds none."""

    qid: str
    text: str
    document: str  # id of the paragraph it was asked about
    article: str  # title of the document that holds the paragraph
    answers: tuple[str, ...]
    evidence: str = ""  # the sentence that people marked, where they did


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for one question."""

    question: Question
    text: str
    cited: tuple[str, ...]  # uri of each citation, in order
    found: tuple[str, ...]  # uri of each source in the prompt, in order
    abstained: bool
    seconds: float


async def run(data: Path, *, sample: int | None = None, seed: int = 0) -> dict[str, Any]:
    """Return the report of a set, or of each set in the folder under its name.

    sample: ask only this many of each file, drawn with `seed`.
    """
    if is_set(data):
        return await run_set(data, sample=sample, seed=seed)
    sets = [folder for name in SETS if is_set(folder := data / name)]
    if not sets:
        raise FileNotFoundError(f"{data} holds none of {', '.join(SETS)}")
    return {folder.name: await run_set(folder, sample=sample, seed=seed) for folder in sets}


def is_set(folder: Path) -> bool:
    """Return whether a folder holds a corpus with questions."""
    return all(
        any((folder / f"{name}{end}").exists() for end in (".jsonl", ".jsonl.gz"))
        for name in ("corpus", "queries")
    )


async def run_set(data: Path, *, sample: int | None, seed: int) -> dict[str, Any]:
    """Ingest the corpus into a scratch server, ask, and return the report."""
    corpus = read(data, "corpus")
    titles = {row["id"]: row["title"] for row in corpus}
    questions = pick(as_questions(read(data, "queries"), titles), sample, seed)
    unanswerable = pick(as_questions(read(data, "unanswerable_v2"), titles), sample, seed)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="parley-eval-") as folder:
        file = Path(folder) / "corpus.jsonl"  # plain, whatever the set has
        file.write_text("".join(json.dumps(row) + "\n" for row in corpus), encoding="utf-8")
        async with scratch_server([file]) as server:
            ready = time.perf_counter() - began
            async with httpx.AsyncClient(base_url=server.url, timeout=TIMEOUT_SECONDS) as client:
                replies = await ask_all(client, [*questions, *unanswerable])
    answered, others = replies[: len(questions)], replies[len(questions) :]
    report = score([r for r in answered if unseen(r)], [r for r in others if unseen(r)])
    if unanswerable and sample is None:
        report |= await abstention(data)
    report["whole"] = score(answered, others)
    report["setup_seconds"] = round(ready, 1)
    report["sample"] = sample
    return report


def as_questions(rows: Sequence[dict[str, Any]], titles: dict[str, str]) -> list[Question]:
    """Return the questions of a set; titles: by id of the paragraph."""
    return [
        Question(
            row["qid"],
            row["question"],
            row["doc"],
            titles[row["doc"]],
            tuple(row.get("answers", ())),
            row.get("evidence_sentence") or "",
        )
        for row in rows
    ]


async def abstention(data: Path) -> dict[str, Any]:
    """Return how well the shipped models tell questions without an answer, by their margins.

    The models see what the product's search brings, but are asked without a server.
    """
    embedder = await asyncio.to_thread(MiniLM.load)
    try:
        cases = await gather([data], embedder, unseen=True)
    finally:
        embedder.close()
    fitted = parameters.load()
    margins: dict[str, list[float]] = defaultdict(list)
    for case in cases:
        if not case.sampled and case.windows and (case.kind != "answerable" or case.gold >= 0):
            margins[case.kind].append(judge(case, fitted).margin)
    return {
        f"abstention_auroc_{kind}": area(margins["answerable"], margins[kind])
        for kind in ("look-alike", "off-topic")
        if margins[kind] and margins["answerable"]
    }


def pick(questions: list[Question], sample: int | None, seed: int) -> list[Question]:
    """Return all questions, or `sample` of them drawn with `seed`."""
    if sample is None or sample >= len(questions):
        return questions
    return random.Random(seed).sample(questions, sample)


async def ask_all(client: httpx.AsyncClient, questions: Sequence[Question]) -> list[Reply]:
    """Ask each question in a conversation of its own, a few at a time."""
    free = asyncio.Semaphore(CONCURRENCY)
    with Progress(transient=True) as progress:
        bar = progress.add_task("asking", total=len(questions))

        async def one(question: Question) -> Reply:
            async with free:
                reply = await ask(client, question)
            progress.advance(bar)
            return reply

        return list(await asyncio.gather(*map(one, questions)))


async def ask(client: httpx.AsyncClient, question: Question) -> Reply:
    """Return the reply to one question, asked as an OpenAI client would."""
    began = time.perf_counter()
    body = {"model": "parley", "messages": [{"role": "user", "content": question.text}]}
    response = await client.post("/v1/chat/completions", json=body)
    response.raise_for_status()
    message = response.json()["choices"][0]["message"]
    extra = message["parley"]
    return Reply(
        question=question,
        text=message["content"],
        cited=tuple(citation["uri"] for citation in extra["citations"]),
        found=tuple(source["uri"] for source in extra["sources"]),
        abstained=extra["abstained"],
        seconds=time.perf_counter() - began,
    )


def score(answered: Sequence[Reply], unanswerable: Sequence[Reply]) -> dict[str, Any]:
    """Return the report: shares over all answerable questions, abstentions beside each other."""
    latencies = [reply.seconds for reply in answered]
    marked = [reply for reply in answered if reply.question.evidence]
    return {
        "cited_gold": share([cites_gold(reply) for reply in answered]),
        "answer_in_text": share([holds_answer(reply) for reply in answered]),
        **({"evidence": share([holds_evidence(reply) for reply in marked])} if marked else {}),
        "gold_first": share([_is_gold(reply, reply.found[:1]) for reply in answered]),
        "gold_in_sources": share([_is_gold(reply, reply.found) for reply in answered]),
        "false_abstained": share([reply.abstained for reply in answered]),
        **({"abstained": share([r.abstained for r in unanswerable])} if unanswerable else {}),
        "disagreeing": share([reply.text.startswith(DISAGREE) for reply in answered]),
        "words_mean": round(
            sum(len(reply.text.split()) for reply in answered) / max(1, len(answered)), 1
        ),
        "seconds_p50": round(percentile(latencies, 0.5), 4),
        "seconds_p95": round(percentile(latencies, 0.95), 4),
    }


def unseen(reply: Reply) -> bool:
    """Return whether the article of the question was kept out of all fitting."""
    return not in_first_half(reply.question.article)


def cites_gold(reply: Reply) -> bool:
    """Return whether the first citation is the paragraph the question was asked about."""
    return _is_gold(reply, reply.cited[:1])


def holds_answer(reply: Reply) -> bool:
    """Return whether a gold answer stands in a reply of at most 80 words."""
    text = re.sub(r"\s*\[\d+\]", "", reply.text)
    if reply.abstained or len(text.split()) > MAX_WORDS:
        return False
    padded = f" {normal(text)} "
    return any(f" {normal(answer)} " in padded for answer in reply.question.answers)


def holds_evidence(reply: Reply) -> bool:
    """Return whether the sentence that people marked is in a reply of at most 80 words.

    A long sentence is cut at its clauses to fit: then most of its words must be there.
    """
    text = re.sub(r"\s*\[\d+\]", "", reply.text)
    if reply.abstained or len(text.split()) > MAX_WORDS:
        return False
    said, marked = normal(text), normal(reply.question.evidence)
    if marked in said:
        return True
    shared = SequenceMatcher(None, marked.split(), said.split(), autojunk=False)
    return sum(block.size for block in shared.get_matching_blocks()) >= MOST * len(marked.split())


def normal(text: str) -> str:
    """Return `text` as SQuAD compares it: lower case, without punctuation and articles."""
    text = unicodedata.normalize("NFKC", text).casefold()
    text = "".join(" " if c in string.punctuation or c in "–—’‘“”" else c for c in text)
    return " ".join(word for word in text.split() if word not in {"a", "an", "the"})


def _is_gold(reply: Reply, uris: Sequence[str]) -> bool:
    return any(uri.endswith("#" + reply.question.document) for uri in uris)

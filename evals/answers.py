"""Are answers right, do they cite the right passage, and does Parley know when it does not know?

Data: a folder with corpus.jsonl, queries.jsonl and, optionally, unanswerable_v2.jsonl, in the
form of SQuAD (Rajpurkar et al. 2016, 2018; CC BY-SA 4.0). Questions are asked over HTTP.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import string
import time
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from rich.progress import Progress

from evals.scratch import scratch_server
from evals.split import in_first_half
from evals.spread import percentile, share

MAX_WORDS = 80  # a longer reply does not count as an answer
CONCURRENCY = 4
TIMEOUT_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Question:
    """One question; `answers` is empty when the corpus holds none."""

    qid: str
    text: str
    document: str  # id of the paragraph it was asked about
    article: str  # title of the document that holds the paragraph
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for one question."""

    question: Question
    text: str
    cited: tuple[str, ...]  # uri of each citation, in order
    found: tuple[str, ...]  # uri of each source in the prompt, in order
    abstained: bool
    seconds: float


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a `.jsonl` file."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def read_questions(path: Path, titles: dict[str, str]) -> list[Question]:
    """Return the questions of a `.jsonl` file; titles: by id of the paragraph."""
    return [
        Question(
            row["qid"],
            row["question"],
            row["doc"],
            titles[row["doc"]],
            tuple(row.get("answers", ())),
        )
        for row in read_rows(path)
    ]


async def run(data: Path, *, sample: int | None = None, seed: int = 0) -> dict[str, Any]:
    """Ingest the corpus into a scratch server, ask, and return the report.

    sample: ask only this many of each file, drawn with `seed`.
    """
    titles = {row["id"]: row["title"] for row in read_rows(data / "corpus.jsonl")}
    questions = pick(read_questions(data / "queries.jsonl", titles), sample, seed)
    unanswerable: list[Question] = []
    if (file := data / "unanswerable_v2.jsonl").exists():
        unanswerable = pick(read_questions(file, titles), sample, seed)
    began = time.perf_counter()
    async with scratch_server([data / "corpus.jsonl"]) as server:
        ready = time.perf_counter() - began
        async with httpx.AsyncClient(base_url=server.url, timeout=TIMEOUT_SECONDS) as client:
            replies = await ask_all(client, [*questions, *unanswerable])
    answered, others = replies[: len(questions)], replies[len(questions) :]
    report = score(answered, others)
    # The extractive model was fitted on some of these articles; this is what it makes of others.
    report["unseen"] = score([r for r in answered if unseen(r)], [r for r in others if unseen(r)])
    report["setup_seconds"] = round(ready, 1)
    report["sample"] = sample
    return report


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
    return {
        "cited_gold": share([cites_gold(reply) for reply in answered]),
        "answer_in_text": share([holds_answer(reply) for reply in answered]),
        "gold_first": share([_is_gold(reply, reply.found[:1]) for reply in answered]),
        "gold_in_sources": share([_is_gold(reply, reply.found) for reply in answered]),
        "false_abstained": share([reply.abstained for reply in answered]),
        "abstained": share([reply.abstained for reply in unanswerable]),
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


def normal(text: str) -> str:
    """Return `text` as SQuAD compares it: lower case, without punctuation and articles."""
    text = unicodedata.normalize("NFKC", text).casefold()
    text = "".join(" " if c in string.punctuation or c in "–—’‘“”" else c for c in text)
    return " ".join(word for word in text.split() if word not in {"a", "an", "the"})


def _is_gold(reply: Reply, uris: Sequence[str]) -> bool:
    return any(uri.endswith("#" + reply.question.document) for uri in uris)

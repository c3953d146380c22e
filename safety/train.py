"""`python -m safety train`: learn the classifiers anew, from the sets and our own examples.

Only the first halves of the sets are learned from (classifiers/sources.py), so what
`python -m evals run safety` says about the second halves is about texts that no model has seen.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from core.split import digest
from embeddings.base import Embedder
from embeddings.minilm import MiniLM
from safety.classifiers import fitting, sources
from safety.classifiers.features import look
from safety.classifiers.fitting import Example, Table
from safety.classifiers.model import HARMLESS, MODELS, Model
from safety.classifiers.sources import halves

STRENGTH = 1.0  # C; 0.5 to 3 give the same within the noise of cross-validation
OWN_WEIGHT = 0.5  # of our examples: there are more of them than of the look-alikes
EVERYDAY_WEIGHT = 0.1  # of everyday questions: there are many, and they are easy
EVERYDAY_SHARE = 12  # one in so many is learned from
LOOK_ALIKES = ("xstest", "notinject", "mitre_frr_benign", "wildguard_benign")
OWN, EVERYDAY = "own examples", ("clinc150", "banking77")
# CyberSecEval names the technique; what it is after says more.
TECHNIQUES = {
    "ignore_previous_instructions": "override",
    "token_smuggling": "smuggling",
    "repeated_token_attack": "smuggling",
}

Report = dict[str, Any]


async def train(
    data: Path, out: Path, embedder: Embedder, *, leave_out: Collection[str] = ()
) -> Report:
    """Write the models to `out`; return what was learned from, with figures of cross-validation.

    leave_out: names of sets that are not learned from.
    Raises FileNotFoundError when a set is missing.
    """
    report: Report = {}
    for name, gather in GATHERERS.items():
        examples = [one for one in gather(data) if one.source not in leave_out]
        model, found = await learn(examples, embedder)
        model.save(name, out)
        report[name] = found
    return report


async def learn(examples: Sequence[Example], embedder: Embedder) -> tuple[Model, Report]:
    """Return the model of these examples, its thresholds on the look-alikes among them."""
    texts = [one.text for one in examples]
    vectors = await embedder.passages(texts)
    table = Table(examples, [look(text) for text in texts], vectors)
    return await asyncio.to_thread(_learn, table)


def _learn(table: Table) -> tuple[Model, Report]:
    odds = fitting.unseen_scores(table, STRENGTH, always=(OWN, *EVERYDAY))
    sets = np.array([one.source for one in table.examples])
    guilty = np.array([one.label != HARMLESS for one in table.examples])
    alike = odds[np.isin(sets, LOOK_ALIKES) & ~guilty]
    found = {
        "examples": dict(sorted(Counter(sets.tolist()).items())),
        "labels": dict(sorted(Counter(one.label for one in table.examples).items())),
        "cross_validation": {
            f"recall_at_{round(100 * rate)}fpr": round(
                float(np.mean(odds[guilty & ~np.isnan(odds)] > np.quantile(alike, 1 - rate))), 4
            )
            for rate in (0.01, 0.05)
        },
    }
    model = fitting.fit(table, STRENGTH, {"learned_from": lineage(sets.tolist()), **found})
    return replace(model, thresholds=fitting.thresholds(alike)), found


def lineage(used: Sequence[str]) -> Report:
    """Return for each source where it is from, its licence, and what of it was learned from."""
    told: Report = {}
    for name, count in sorted(Counter(used).items()):
        if name == OWN:
            told[name] = {
                "origin": "written for this repository; whoever wrote them had seen both halves",
                "licence": "MIT",
                "files": sorted(path.name for path in sources.EXAMPLES.glob("*.yaml")),
                "texts": count,
            }
        else:
            one = sources.SOURCES[name]
            told[name] = {
                "origin": one.origin,
                "licence": one.licence,
                "learned": one.learned,
                "split": "first half by hash of what near-duplicates share",
                "texts": count,
            }
    return told


def injection(data: Path) -> list[Example]:
    """Return what the classifier of users' attempts learns from."""
    found = [
        _of(row, "jailbreak_in_the_wild", "jailbreak")
        for row in first(data, "jailbreak_in_the_wild")
    ]
    for row in first(data, "cyberseceval_pi"):
        kind = (
            "indirect" if row["type"] == "indirect" else TECHNIQUES.get(row["variant"], "secrets")
        )
        found.append(_of(row, "cyberseceval_pi", kind))
    found += [
        _of(row, "sysprompt_extraction", "extraction")
        for row in first(data, "sysprompt_extraction")
    ]
    found += harmless(data)
    for kind, texts in sources.own("attacks").items():
        found += [_own(text, "secrets" if kind == "roleplay" else kind) for text in texts]
    for texts_by_kind in sources.own("languages").values():
        for kind, texts in texts_by_kind.items():
            found += [_own(text, HARMLESS if kind == "plain" else kind) for text in texts]
    return found


def harmless(data: Path) -> list[Example]:
    """Return harmless look-alikes, everyday questions and our own harmless examples."""
    found = [
        _of(row, name, HARMLESS)
        for name in LOOK_ALIKES
        for row in first(data, name)
        if row["label"] == 0
    ]
    for name in EVERYDAY:
        found += [
            replace(_of(row, name, HARMLESS), weight=EVERYDAY_WEIGHT)
            for row in first(data, name)
            if digest(row["text"])[2] % EVERYDAY_SHARE == 0
        ]
    for texts in sources.own("benign").values():
        found += [_own(text, HARMLESS) for text in texts]
    return found


def first(data: Path, name: str) -> list[dict[str, Any]]:
    """Return the rows of a set to learn from; raises FileNotFoundError when there are none."""
    found = halves(data, name)[0]
    if not found:
        raise FileNotFoundError(f"{data / sources.SOURCES[name].file} is not there")
    return found


def _of(row: dict[str, Any], name: str, label: str) -> Example:
    return Example(row["text"], label, name, f"{name} {sources.SOURCES[name].group(row)}")


def _own(text: str, label: str) -> Example:
    return Example(text, label, OWN, f"{OWN} {text}", OWN_WEIGHT)


GATHERERS: dict[str, Callable[[Path], list[Example]]] = {"injection": injection}


def command(
    data: Annotated[Path, typer.Option(exists=True, file_okay=False, help="Folder of the sets.")],
    out: Annotated[Path, typer.Option(file_okay=False, help="Where the models go.")] = MODELS,
    leave_out: Annotated[list[str] | None, typer.Option(help="A set not to learn from.")] = None,
) -> None:
    """Learn the classifiers anew, a minute or two; the same data give the same files."""
    with closing(MiniLM.load()) as embedder:
        report = asyncio.run(train(data, out, embedder, leave_out=leave_out or ()))
    for name, found in report.items():
        typer.echo(f"{name}: {found}")


if __name__ == "__main__":
    typer.run(command)

"""Fits the extractive model: which sentence answers, and when none does.

`python -m evals.abstention --data SQUAD --data QED` writes tgi/embedded/parameters.json and .npz.
Data: SQuAD (Rajpurkar et al. 2016, 2018; CC BY-SA 4.0), whose questions echo their paragraph,
and QED (Lamm et al. 2020; CC BY-SA 3.0), what people typed into a search engine; each a folder
with corpus.jsonl, queries.jsonl and, if there is one, unanswerable_v2.jsonl, possibly gzipped.
Half of the articles are fitted on, the other half is reported on.
Every question sees what the product's search would bring it: the best five paragraphs.
Kinds of question: answerable (the paragraph that answers is among the five), look-alike (asked
about a paragraph that does not answer it), off-topic (an answerable question against other
articles) and given (the right paragraph alone: which of its sentences is the one?).
"""

from __future__ import annotations

import asyncio
import datetime
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from core.split import in_first_half
from embeddings.minilm import MiniLM
from evals.cases import Case, Kind, gather
from evals.fitting import fit
from evals.measuring import Judged, area, judge
from evals.spread import share
from tgi.embedded import parameters

SETS = {
    "squad_v11": "SQuAD 1.1 dev and 2.0 dev unanswerable questions, 24 articles, CC BY-SA 4.0, "
    "github.com/rajpurkar/SQuAD-explorer at e0c66cf",
    "qed_nq": "QED on Natural Questions, half of the pages, CC BY-SA 3.0, "
    "github.com/google-research-datasets/QED at 2492920",
}


def main(
    data: Annotated[
        list[Path], typer.Option(exists=True, file_okay=False, help="Folder of a set.")
    ],
    output: Annotated[Path, typer.Option(help="Where the numbers go.")] = parameters.FILE,
) -> None:
    """Fit, report on the other half of the articles, and write the parameters."""
    embedder = MiniLM.load()
    try:
        cases = asyncio.run(gather(data, embedder))
    finally:
        embedder.close()
    write(cases, {folder.name: SETS.get(folder.name, "") for folder in data}, output)


def write(cases: Sequence[Case], sets: dict[str, str], output: Path) -> None:
    """Fit on one half of the cases, report on the other and write both files."""
    train = [case for case in cases if in_first_half(case.article) and case.kind != "given"]
    test = [case for case in cases if not in_first_half(case.article) and not case.sampled]
    stored, arrays = fit(train)
    np.savez_compressed(output.with_suffix(".npz"), **arrays)  # type: ignore[arg-type]  # stubs
    output.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
    fitted = parameters.load(output)
    report = {
        name: measure([case for case in test if case.data == name], fitted)
        for name in dict.fromkeys(case.data for case in test)
    }
    stored["lineage"] = {
        "by": "python -m evals.abstention",
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "data": sets,
        "embedding_model": MiniLM.name,
        "split": "articles by the first bit of the SHA-256 of their title; 0 fitted, 1 reported",
        "fitted_on": counted(train),
        "reported_on": counted(test),
    }
    stored["report"] = report
    output.write_text(json.dumps(stored, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=1))


def measure(test: Sequence[Case], fitted: parameters.Parameters) -> dict[str, Any]:
    """Return what the models reach on articles that they were not fitted on."""
    judged: dict[Kind, list[tuple[Case, Judged]]] = {}
    for case in test:
        if case.windows:
            judged.setdefault(case.kind, []).append((case, judge(case, fitted)))
    answerable = judged["answerable"]
    answered = [one.margin for case, one in answerable if case.gold >= 0]

    def abstains(margins: Sequence[float]) -> Any:
        return share([margin < fitted.threshold for margin in margins])

    report: dict[str, Any] = {
        "gold_paragraph_first_by_retrieval": share([case.gold == 0 for case, _ in answerable]),
        "gold_paragraph_first": share([one.source == case.gold for case, one in answerable]),
        "gold_paragraph_cited_first": share(
            [one.source == case.gold and one.margin >= fitted.threshold for case, one in answerable]
        ),
        "best_sentence_holds_answer": share([one.right for _, one in answerable]),
        "false_abstention": abstains(answered),
    }
    if given := judged.get("given"):
        report["evidence"] = share([one.evidence for _, one in given])
        marked = [one.evidence for case, one in answerable if case.marked]
        report["evidence_of_five_sources"] = share(marked)
    for kind in ("look-alike", "off-topic"):
        if cases := judged.get(kind):
            margins = [one.margin for _, one in cases]
            report[f"abstains_on_{kind}"] = abstains(margins)
            report[f"auroc_{kind}"] = area(answered, margins)
    return report


def counted(cases: Sequence[Case]) -> dict[str, int]:
    """Return how many cases of each set and kind there are."""
    return dict(Counter(f"{case.data} {case.kind}" for case in cases))


if __name__ == "__main__":
    typer.run(main)

"""Sources that contradict each other are told from sources that merely differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from embeddings.minilm import MiniLM
from tgi.embedded.answer import MAX_WORDS
from tgi.embedded.conflicts import conflicting
from tgi.embedded.extractive import ExtractiveModel
from tgi.embedded.features import candidates
from tgi.embedded.prompt import Source
from tgi.embedded.questions import Question

CASES = yaml.safe_load((Path(__file__).parent / "conflicts.yaml").read_text(encoding="utf-8"))


def found(case: dict[str, Any]) -> bool:
    """Return whether a conflict is seen, whichever of the two is thought better."""
    titles = case.get("titles", ["", ""])
    sources = [Source(n, titles[n - 1], "", text) for n, text in enumerate(case["says"], 1)]
    ranked = candidates(sources)
    question = Question(case["ask"])
    seen = {conflicting(question, sources, order) is not None for order in (ranked, ranked[::-1])}
    assert len(seen) == 1, "it must not depend on the order"
    return seen.pop()


@pytest.mark.parametrize("case", CASES["conflicting"], ids=lambda case: str(case["says"][1]))
def test_a_contradiction_is_seen(case: dict[str, Any]) -> None:
    """Two values for the same thing, in nearly the same words."""
    assert found(case)


@pytest.mark.parametrize("case", CASES["different"], ids=lambda case: str(case["says"][1]))
def test_a_difference_is_no_contradiction(case: dict[str, Any]) -> None:
    """Another thing, time, unit or precision: both may be true."""
    assert not found(case)


async def test_an_answer_names_sources_that_disagree(embedder: MiniLM) -> None:
    """Both are quoted with their citations, in a reply of the usual length."""
    said = "The Harlow bridge was opened in"
    sources = "".join(
        f'<source id="{n}" title="Bridges">\n{said} {year}.\n</source>\n'
        for n, year in ((1, 1931), (2, 1933))
    )
    asked = f"{sources}<question>\nWhen was the Harlow bridge opened?\n</question>"
    reply = await ExtractiveModel(embedder).chat([{"role": "user", "content": asked}])
    assert reply.text is not None
    assert reply.text.startswith("The sources disagree. ")
    assert f"{said} 1931 [1]." in reply.text
    assert f"{said} 1933 [2]." in reply.text
    assert len(reply.text.split()) <= MAX_WORDS

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from safety.gate import whole
from safety.toxic import Toxic

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.mark.parametrize(
    "text",
    [
        "Kill yourself now.",
        "k.i.l.l yourself",
        "K1ll  y0urself",
        "k i l l yourself",
        "kiiiill yourself",
        "I’ll kill you",
        "f*u*c*k you",
        "fuuuck you",
    ],
)
def test_spellings_do_not_hide_a_phrase(text: str) -> None:
    """Other letters, stretched ones, separators and case are folded, in a stream too."""
    left, findings, _ = whole(f"And: {text}", [Toxic.load()], lambda check, hit: "redact")
    assert left.startswith("And: [removed]")
    assert findings


@pytest.mark.parametrize(
    "text",
    [
        "Scunthorpe, Niger, Nigeria and a niggardly assassin.",
        "Kill the process yourself.",
        "I will find you a seat.",
        "You are an early bird.",
    ],
)
def test_words_that_only_hold_one_pass(text: str) -> None:
    """Whole words and whole phrases alone are found."""
    assert Toxic.load().find(text) == ()


@pytest.mark.data
@pytest.mark.parametrize("name", ["squad_v11/corpus.jsonl", "qed_nq/corpus.jsonl.gz"])
def test_an_encyclopedia_is_not_toxic(name: str) -> None:
    """Of its paragraphs at most one in a thousand, for a quotation, is flagged."""
    path = DATA / name
    if not path.exists():
        pytest.skip(f"../shared/data/{name} is not here: the list is measured on it")
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        texts = [json.loads(line)["text"] for line in lines]
    flagged = [text for text in texts if Toxic.load().find(text)]
    assert len(flagged) <= len(texts) / 1000

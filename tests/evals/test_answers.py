"""The scorer of the answers eval, and a sample of the eval itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from evals import answers
from evals.answers import Question, Reply
from evals.spread import percentile, share

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "squad_v11"
SAMPLE = 200


def reply(text: str, *, cited: tuple[str, ...] = (), abstained: bool = False) -> Reply:
    question = Question(
        "q", "Who?", "Nikola_Tesla#3", "Nikola Tesla", ("the Serbian Orthodox Church", "1856")
    )
    return Reply(question, text, cited, cited, abstained, 0.1)


def test_only_the_first_citation_counts() -> None:
    """A gold paragraph in second place is not the one the answer leans on."""
    gold, other = "file:///c.jsonl#Nikola_Tesla#3", "file:///c.jsonl#Nikola_Tesla#33"
    assert answers.cites_gold(reply("x", cited=(gold, other)))
    assert not answers.cites_gold(reply("x", cited=(other, gold)))
    assert not answers.cites_gold(reply("x"))


def test_an_answer_is_found_as_whole_words() -> None:
    """Case, punctuation, articles and markers do not matter; parts of words do."""
    assert answers.holds_answer(reply("He was born in 1856 [1]."))
    assert answers.holds_answer(reply("A priest of the “Serbian Orthodox Church”[1]."))
    assert not answers.holds_answer(reply("Room 18567 [1]."))


def test_a_long_or_abstaining_reply_is_no_answer() -> None:
    """Quoting everything would find every answer."""
    assert not answers.holds_answer(reply("1856 " + "word " * 80))
    assert not answers.holds_answer(reply("I don't know: 1856", abstained=True))


def test_a_share_comes_with_its_interval() -> None:
    """Wilson's interval for 8 of 10 is 0.490 to 0.943."""
    assert share([True] * 8 + [False] * 2) == {"value": 0.8, "low": 0.4902, "high": 0.9433, "n": 10}
    assert percentile([4.0, 1.0, 3.0, 2.0], 0.5) == 2.5


@pytest.mark.data
@pytest.mark.timeout(600)
async def test_a_sample_of_squad_is_answered_and_cited() -> None:
    """On 200 questions the first citation and the answer hold what the full run promises.

    The floors are those of the full run less four standard errors of a sample of 200.
    """
    if not DATA.exists():
        pytest.skip("../shared/data/squad_v11 is not here: the answers eval needs it")
    report = await answers.run(DATA, sample=SAMPLE, seed=1)
    assert report["cited_gold"]["value"] >= 0.72 - 0.12
    assert report["answer_in_text"]["value"] >= 0.50 - 0.12
    assert report["abstained"]["value"] > report["false_abstained"]["value"]

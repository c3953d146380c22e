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


def test_the_marked_sentence_counts_where_it_is_quoted() -> None:
    """Whole, or cut at its clauses; a sentence about the same is another one."""
    question = Question("q", "Who?", "d", "t", (), "He was born in Smiljan, a village, in 1856.")

    def holds(text: str, *, abstained: bool = False) -> bool:
        return answers.holds_evidence(Reply(question, text, (), (), abstained, 0.1))

    assert holds("Tesla [2]. He was born in Smiljan, a village, in 1856 [1].")
    assert holds("He was born in Smiljan, … in 1856 [1].")
    assert not holds("He was born in 1856 [1].")
    assert not holds("He was raised in Smiljan [1].")
    assert not holds("He was born in Smiljan, a village, in 1856.", abstained=True)


def test_figures_are_of_what_a_set_has() -> None:
    """Without marked sentences there is no share of them, without unanswerable questions none."""
    plain = answers.score([reply("1856 [1].")], [])
    assert "evidence" not in plain
    assert "abstained" not in plain
    question = Question("q", "Who?", "d", "t", ("x",), "He was.")
    marked = Reply(question, "He was.", (), (), False, 0.1)
    full = answers.score([marked], [reply("I don't know.", abstained=True)])
    assert full["evidence"]["value"] == full["abstained"]["value"] == 1.0


def test_a_folder_is_a_set_when_it_holds_one(tmp_path: Path) -> None:
    """A set has a corpus and questions, packed or not; a folder of sets has neither."""
    (tmp_path / "corpus.jsonl.gz").touch()
    assert not answers.is_set(tmp_path)
    (tmp_path / "queries.jsonl").touch()
    assert answers.is_set(tmp_path)
    assert not answers.is_set(tmp_path.parent)


async def test_a_folder_without_sets_is_refused(tmp_path: Path) -> None:
    """The message names what was looked for."""
    with pytest.raises(FileNotFoundError, match="squad_v11, qed_nq"):
        await answers.run(tmp_path)


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
    assert report["whole"]["cited_gold"]["value"] >= 0.84 - 0.1
    assert report["whole"]["answer_in_text"]["value"] >= 0.70 - 0.13
    assert report["whole"]["cited_gold"]["n"] == SAMPLE > report["cited_gold"]["n"] > 0
    assert report["whole"]["abstained"]["value"] > report["whole"]["false_abstained"]["value"]

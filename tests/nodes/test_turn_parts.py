"""The small decisions of a turn, one function each."""

from __future__ import annotations

from core.turn import HistoryMessage
from nodes.gate import cite
from nodes.recall import fit
from nodes.remember import title
from nodes.replies import Replies
from nodes.verify import was_retrieved
from tests.nodes.passages import passage

HISTORY = [
    HistoryMessage(role="user", content="Who was Marie Curie?", seq=1),
    HistoryMessage(role="assistant", content="A physicist [1].", seq=2),
    HistoryMessage(role="user", content="Where was she born?", seq=3),
    HistoryMessage(role="assistant", content="In Warsaw [1].", seq=4),
]


def words(text: str) -> int:
    return len(text.split())


def test_history_keeps_the_newest_messages_within_the_budget() -> None:
    """The window is cut from the front, at a user's message."""
    assert fit(HISTORY, words, 1000) == HISTORY
    assert fit(HISTORY, words, 7) == HISTORY[2:]
    assert fit(HISTORY, words, 9) == HISTORY[2:]
    assert fit(HISTORY, words, 2) == []


def test_a_title_is_the_first_sentence_cut_at_a_word() -> None:
    """At most 60 characters, on one line."""
    assert title("Who was she?\nTell me all.") == "Who was she?"
    long = title("word " * 40)
    assert len(long) <= 60
    assert long.endswith("word…")


def test_abstaining_names_what_was_near() -> None:
    """ "I don't know" comes with something to try."""
    replies = Replies.load()
    text = replies.say("abstain", titles=["“Warsaw”", "“Poland”"])
    assert text.startswith("I don't know")
    assert "“Warsaw”, “Poland”" in text
    assert "python -m knowledge ingest" in replies.say("abstain_empty")


def test_a_citation_must_stand_for_what_was_retrieved() -> None:
    """A number that points at another passage is no citation."""
    first, second = passage(1), passage(2)
    assert was_retrieved(cite(1, first), [first, second])
    assert not was_retrieved(cite(1, second), [first, second])
    assert not was_retrieved(cite(3, first), [first, second])

"""What supports a sentence, and what does not."""

from __future__ import annotations

import pytest

from embeddings.minilm import MiniLM
from nodes.facts import facts
from nodes.support import SupportCheck, recorded
from tests.nodes.passages import passage

TOWER = (
    "The tower was built from 28 January 1887 to 1889 by the company of Gustave Eiffel. "
    "It is 330 metres tall and weighs about 10,100 tonnes. "
    "In 2015, 6.91 million people went up. It was not meant to stay: "
    'a critic called it a "truly tragic street lamp". The lifts are run by F16 motors. '
    "The City of Paris owns it, and the United Nations named it World Heritage."
)
BRIDGE = "The bridge was opened by Queen Maud in 1905. It cost 4.5 million dollars."


async def why(embedder: MiniLM, sentence: str, *markers: int) -> tuple[bool, str]:
    check = SupportCheck([passage(1, TOWER), passage(2, BRIDGE)], embedder)
    support = await check.check(sentence, markers)
    return support.supported, support.why


@pytest.mark.parametrize(
    "sentence",
    [
        "It is 330 metres tall and weighs about 10,100 tonnes [1].",  # as it stands
        "… weighs about 10,100 tonnes [1].",
        "The tower has a height of 330 m [1].",
        "The tower weighs 10 100 tons [1].",
        "The tower weighs 10100 tonnes [1].",
        "Building the tower began on January 28, 1887 [1].",
        "Building the tower began in January 1887 [1].",
        "6,910,000 people went up the tower in 2015 [1].",
        "The tower belongs to Paris [1].",
        "The tower was named World Heritage by the UN [1].",
        "EIFFEL'S company built the tower [1].",
        "A critic called the tower a “truly tragic street lamp” [1].",
        "The tower was not meant to stay for ever [1].",
        "The bridge cost $4.5 million [2].",
        "Queen Maud opened the bridge [1][2].",  # either of them may say it
        "Yes [1].",
    ],
)
async def test_what_the_passage_says_is_supported(embedder: MiniLM, sentence: str) -> None:
    """Word for word, in other forms of the same number, date and name, or in other words."""
    markers = [int(mark) for mark in sentence if mark in "12" and f"[{mark}]" in sentence]
    assert (await why(embedder, sentence, *dict.fromkeys(markers)))[0]


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("It is 324 metres tall and weighs about 10,100 tonnes [1].", "number"),
        ("The tower is 330 feet tall [1].", "number"),
        ("Some 6.91 billion people went up in 2015 [1].", "number"),
        ("The tower was begun on 28 February 1887 [1].", "date"),
        ("The tower was built by the company of Gustave Flaubert [1].", "name"),
        ("The lifts are run by F18 motors [1].", "name"),
        ("A critic called it a “truly comic street lamp” [1].", "quotation"),
        ("It was meant to stay [1].", "negation"),
        ("The bridge was not opened by Queen Maud [2].", "negation"),
        ("Cheese ripens in caves for many months before people eat it [1].", "meaning"),
        ("The bridge was opened by Queen Maud in 1905 [1].", "date"),
    ],
)
async def test_what_the_passage_does_not_say_is_not_supported(
    embedder: MiniLM, sentence: str, reason: str
) -> None:
    """A swapped number, unit, date, name, quotation or "not" is enough, and so is another topic."""
    supported, found = await why(embedder, sentence, 1 if "[1]" in sentence else 2)
    assert not supported
    assert found in {reason, "number"} if reason == "date" else found == reason


async def test_without_a_citation_any_passage_may_support(embedder: MiniLM) -> None:
    """One passage has to hold all that an uncited sentence claims."""
    assert (await why(embedder, "Queen Maud opened the bridge in 1905."))[0]
    assert not (await why(embedder, "Gustave Eiffel opened the bridge in 1905."))[0]
    assert not (await why(embedder, "Farmers in the valley grow mostly potatoes and rye."))[0]


async def test_what_claims_nothing_needs_no_support(embedder: MiniLM) -> None:
    """A phrase between two statements may stay."""
    assert await why(embedder, "Here is what I found:") == (True, "nothing to check")


def test_forms_of_one_number_are_one() -> None:
    """Separators, scales, words and units do not hide a number, and 1.000 may be two things."""

    def values(text: str) -> set[float]:
        return {value for number in facts(text).numbers for value in number.values}

    assert values("1,000 or 1000 or 1 000 or a thousand") == {1000.0}
    assert values("1.000") == {1.0, 1000.0}
    assert values("2.5 million") == values("2,500,000") == {2_500_000.0}
    assert values("twenty-five and a dozen") == {25.0, 12.0}
    assert values("the 19th century, 3 o'clock") == {19.0, 3.0}
    (speed,) = facts("12 kilometers").numbers
    assert speed.unit == "km"


def test_forms_of_one_date_are_one() -> None:
    """Day and month may change places, and a part of a date is a date."""
    for text in ("3 May 1999", "May 3rd, 1999", "1999-05-03", "the 3rd of May 1999"):
        assert [date[1:] for date in facts(text).dates] == [(1999, 5, 3)], text
    assert [date[1:] for date in facts("in May 1999").dates] == [(1999, 5, 0)]
    assert facts("you may 2 times").dates == ()


def test_a_capital_that_opens_a_sentence_makes_no_name() -> None:
    """Names are capitalised where nothing else would be."""
    assert facts("Researchers met Marie Curie.").names == (("Marie", "Curie"),)
    assert facts("Marie Curie met researchers.").names == (("Marie", "Curie"),)
    german = "Die Stadt wurde von dem Orden mit der Burg gegründet."
    assert facts(german).names == ()


async def test_the_log_holds_no_more_text_than_needed(embedder: MiniLM) -> None:
    """A verdict is logged with the beginning of its sentence, and with what was missing."""
    sentence = "The tower is 331 metres tall, " + "and tall " * 30 + "[1]."
    check = SupportCheck([passage(1, TOWER)], embedder)
    entry = recorded(sentence, [1], await check.check(sentence, [1]), "dropped")
    assert len(entry.pop("sentence")) <= 80
    assert entry == {
        "markers": [1],
        "supported": False,
        "why": "number",
        "missing": "331 metres",
        "action": "dropped",
    }

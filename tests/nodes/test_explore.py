"""What is searched for besides the question itself: its parts, its words as they are written."""

from __future__ import annotations

import pytest

from core.turn import Passage
from nodes.explore import LACKING, bridge, evidence, expand, merged, split
from tests.nodes.passages import passage

SPLIT = [
    ("Who wrote the anthem and when was the flag adopted?",
     ["Who wrote the anthem?", "When was the flag adopted?"]),
    ("How long is the river Ossa and where does it rise?",
     ["How long is the river Ossa?", "Where does Ossa rise?"]),
    ("What does the Basic plan cost, and how much can it store?",
     ["What does the Basic plan cost?", "How much can Basic plan store?"]),
    ("Who founded the Harbour Museum and where was she born?",
     ["Who founded the Harbour Museum?",
      "Where was the person who founded the Harbour Museum born?"]),
    ("who is the mayor of Torvik and what is his salary",
     ["Who is the mayor of Torvik?", "What is the mayor of Torvik's salary?"]),
    ("When did the siege begin? And when did it end?",
     ["When did the siege begin?", "When did siege end?"]),
    ("When is the pool open; what does a ticket cost?",
     ["When is the pool open?", "What does a ticket cost?"]),
    ("Why did the bridge of Dorn fall and is it open again?",
     ["Why did the bridge of Dorn fall?", "Is bridge of Dorn open again?"]),
    ("How do I install Kettle, how do I update it and where is its log?",
     ["How do I install Kettle, how do I update it?", "Where is Kettle's log?"]),
    ("How wide is the Aqua 300 and is the delivery included?",
     ["How wide is the Aqua 300?", "Is the delivery included?"]),
    ("Can you tell me who built the lighthouse and when it was lit first?",
     ["Who built the lighthouse?", "When lighthouse was lit first?"]),
    ("I'd like to know how the pump works and what the filter is made of",
     ["How the pump works?", "What the filter is made of?"]),
    ("Which plants need shade and how often are they watered?",
     ["Which plants need shade?", "How often are plants watered?"]),
    ("Do interns need a contract and is there a trial period?",
     ["Do interns need a contract?", "Is there a trial period?"]),
    ("What is deduplication and why would I want it?",
     ["What is deduplication?", "Why would I want deduplication?"]),
    ("Where is the archive but who has the key to it?",
     ["Where is the archive?", "Who has the key to archive?"]),
    ("Which is older, the Harbour Museum or the Glass Museum?",
     ["Which is older, the Harbour Museum?", "Which is older, the Glass Museum?"]),
    ("Is the Aqua 300 or the Aqua 500 quieter?",
     ["Is the Aqua 300 quieter?", "Is the Aqua 500 quieter?"]),
    ("What is the difference between the Basic plan and the Team plan?",
     ["What is the difference between the Basic plan?",
      "What is the difference between the Team plan?"]),
    ("Compare Kettle 2 with Kettle 3", ["Compare Kettle 2", "Compare Kettle 3"]),
    ("Which museum is cheaper: Harbour Museum or Glass Museum?",
     ["Which museum is cheaper: Harbour Museum?", "Which museum is cheaper: Glass Museum?"]),
    ("Who was born first, Inga Solberg or Per Nyström?",
     ["Who was born first, Inga Solberg?", "Who was born first, Per Nyström?"]),
    ("How do Arenne and Karsk differ?", ["How do Arenne differ?", "How do Karsk differ?"]),
    ("Does Linux or Windows need more memory?",
     ["Does Linux need more memory?", "Does Windows need more memory?"]),
    ("What do Odile and Rainer have in common?",
     ["What do Odile have in common?", "What do Rainer have in common?"]),
    ("Bergen vs. Lindholm?", ["Bergen?", "Lindholm?"]),
]  # fmt: skip
WHOLE = [
    "Who wrote the anthem?",
    "What is salt and pepper made of?",
    "Who won in 1998 and why?",
    "When and where was Inga Solberg born?",
    "How and why did the siege end?",
    "What happens when the disk is full and when the network is down?",
    "Which city was the capital of the empire and is today the capital of the province?",
    "Which house was built in 1902 and was sold in 1990?",
    "Who is required to check the wires and have them marked?",
    "What contract is signed when the builder knows the plans and must follow them?",
    "What did she do in Budapest and Paris?",
    "What is the difference between when the engine runs and when it stands?",
    "Do cats and dogs get along?",
    "What is the name of the band that Anna and Tom founded?",
    "Is it true that the bridge fell and that nobody was hurt?",
    "Can I pay with Visa or Mastercard?",
    "What older house was replaced by the Western Hall, or Grand Hall?",
    "Trial and error: what is it good for?",
    "How do I install it and what does it cost?",
    "Tell me about the treaty and the war",
    "The pump is loud and the filter leaks",
    "Who said that what goes up must come down?",
    "Is tea or coffee better?",
    "What is research and development?",
    "Who led the team that found and raised the ship?",
    "Why?",
    "",
    "What is new? " * 60,
]


def written(number: int, text: str, *, title: str = "") -> Passage:
    found = passage(number, text)
    found["title"], found["section"] = title, ""
    return found


@pytest.mark.parametrize(("question", "parts"), SPLIT)
def test_a_question_that_asks_for_several_things_is_split(question: str, parts: list[str]) -> None:
    """Each part can be searched by itself: it borrows what it needs from the others."""
    assert split(question) == parts


@pytest.mark.parametrize("question", WHOLE)
def test_one_question_stays_one(question: str) -> None:
    """ "And" between words, clauses and names that belong together splits nothing."""
    assert split(question) == []


def test_evidence_is_weak_when_the_passages_lack_the_words() -> None:
    """What counts is the share of the question's words that no passage has, names twice."""
    found = [written(1, "The Harbour Museum opens at ten."), written(2, "Nothing else.")]
    told = evidence("When does the Harbour Museum open?", found)
    assert told.words == ()
    assert not told.weak
    foreign = evidence("When does the Harbour Casino open?", found)
    assert foreign.words == ("Casino",)
    assert foreign.weak
    assert foreign.lacking == pytest.approx(2 / 5)
    assert foreign.record() == {
        "nearest": 0.5, "lacking": 0.4, "words": ["Casino"], "weak": True,
    }  # fmt: skip


def test_nothing_found_is_no_evidence() -> None:
    """Without passages everything lacks; without words nothing does."""
    assert evidence("Where is the archive?", []).lacking == 1
    assert evidence("And?", []).lacking == 0
    assert 0 < LACKING < 1


@pytest.mark.parametrize(
    ("question", "told", "query", "why"),
    [
        ("How deep is Lake Mrin?", "Lake Mirn freezes over.", "", ""),  # four letters: too short
        ("Who was Inga Sloberg?", "Inga Solberg was a captain.", "Who was Inga Solberg?",
         "spelling"),
        ("How do I retsore a backup?", "Restore a backup with the timeline.",
         "How do I Restore a backup?", "spelling"),
        ("Who led the seige of Karsk?", "The siege of Karsk began in June.",
         "Who led the siege of Karsk?", "spelling"),
        ("What is paid for accomodation?", "Accommodation is refunded.",
         "What is paid for Accommodation?", "spelling"),
        ("When was the tresaury built?", "The Treasury stands in Torvik.",
         "When was the Treasury built?", "spelling"),
        ("Who wrote about glaciers?", "The glass museum has a café.", "", ""),
        ("What does the LHT collect?", "The Lindholm Harbour Trust collects models.",
         "What does the LHT collect? Lindholm Harbour Trust", "acronym"),
        ("Who leads the BOI?", "The Board of Inspection is led by Ada Quist.",
         "Who leads the BOI? Board of Inspection", "acronym"),
        ("What is the Record of Processing Activities?", "The RPA lists what is stored.",
         "What is the Record of Processing Activities? RPA", "acronym"),
        ("Who is in the LHT?", "The LHT has nine members.", "", ""),  # the passages say it as well
    ],
)  # fmt: skip
def test_words_nobody_wrote_become_those_that_somebody_did(
    question: str, told: str, query: str, why: str
) -> None:
    """Misspelled words and acronyms are looked up in what the question found all the same."""
    found = [written(1, told)]
    assert expand(question, evidence(question, found).words, found) == (query, why)


SOLBERG = written(
    1, "It has a yard. The Harbour Museum was founded in 1968 by the captain Inga Solberg.",
    title="Harbour Museum",
)  # fmt: skip
PLANS = written(2, "The Enterprise plan adds single sign-on and telephone support.", title="Plans")


@pytest.mark.parametrize(
    ("question", "named"),
    [
        ("Where was the founder of the Harbour Museum born?", "Where was Inga Solberg born?"),
        ("When did the person who founded the Harbour Museum die?", "When did Inga Solberg die?"),
        ("Who founded the Harbour Museum and where was she born?", "Where was Inga Solberg born?"),
        ("What does the plan that has telephone support cost?", "What does Enterprise plan cost?"),
        ("Who was the founder of the Harbour Museum?", ""),  # the name itself is asked for
        ("Who is known as the founder of the Harbour Museum?", ""),
        ("Where was the founder of the Post Office born?", ""),  # nobody says
        ("Where was Inga Solberg born?", ""),
        ("Where was the captain born?", ""),
    ],
)
def test_who_is_described_is_named(question: str, named: str) -> None:
    """The second search asks with the name that a passage of the first one gives."""
    assert bridge(question, [PLANS, SOLBERG]) == named


def test_without_passages_nobody_is_named() -> None:
    """There is no bridge from nothing."""
    assert bridge("Where was the founder of the Harbour Museum born?", []) == ""


def test_a_long_question_is_searched_as_it_is() -> None:
    """Looking for every word of a pasted page among the passages would take seconds."""
    long = "Where was the founder of the Harbour Museum born, and who was Inga Sloberg? " * 10
    assert expand(long, ["Sloberg"], [SOLBERG]) == ("", "")
    assert bridge(long, [SOLBERG]) == ""


def test_the_passages_of_several_queries_take_turns() -> None:
    """The first of each come first, that of the query that came nearest before the others."""
    one, two, three, four = (written(n, "text") for n in range(1, 5))
    assert merged([[one, two], [three, one, four]]) == [one, three, two, four]
    assert merged([[one], []]) == [one]
    near = written(5, "text")
    near["scores"] = {"vector": 0.6}
    assert merged([[one, two], [near]]) == [near, one, two]
    assert merged([]) == []

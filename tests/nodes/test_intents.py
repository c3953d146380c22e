"""Intents are learned from examples, per tenant, and learned again when a file changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from core.errors import SettingsInvalid
from core.turn import Intent
from embeddings.minilm import MiniLM
from nodes.classifier import Classifier
from nodes.classify import settle
from nodes.examples import DEFAULT_EXAMPLES, Examples, read
from nodes.intents import Guess, Intents, embed, learn
from tests.conftest import run_apart

SURE = 0.9
Vectors = dict[str, NDArray[np.float32]]


@pytest.fixture(scope="module")
def learned(embedder: MiniLM) -> tuple[Examples, Classifier, Vectors]:
    """What `Intents.train` makes of the shipped examples: embedding them takes seconds."""
    shipped = read(DEFAULT_EXAMPLES)
    vectors = run_apart(embed(embedder, (text for _, text in shipped.pairs()), {}))
    return shipped, learn(shipped, vectors), vectors


@pytest.fixture
def intents(
    embedder: MiniLM, learned: tuple[Examples, Classifier, Vectors], tmp_path: Path
) -> Intents:
    """Intents that look at a tenant's file before every guess."""
    return Intents(embedder, *learned, folder=tmp_path, look_seconds=0.0)


async def ask(intents: Intents, embedder: MiniLM, text: str, tenant_id: str = "acme") -> Guess:
    return await intents.classify(text, await embedder.query(text), tenant_id=tenant_id)


def write(path: Path, text: str) -> None:
    """Replace a file as editors do, so that it is another one even within the same tick."""
    other = path.with_suffix(".new")
    other.write_text(text, encoding="utf-8")
    other.replace(path)


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("hello there", Intent.SMALL_TALK),
        ("What happens when the server is killed?", Intent.KNOWLEDGE),
        ("can I talk to somebody from your team", Intent.HANDOFF),
        ("and what about the other?", Intent.FOLLOW_UP),
        ("bye bye", Intent.GOODBYE),
        ("thanks a lot!", Intent.FEEDBACK),
        ("something does not work", Intent.CLARIFY),
    ],
)
async def test_the_shipped_examples_tell_intents_apart(
    intents: Intents, embedder: MiniLM, text: str, intent: Intent
) -> None:
    """Sentences that are no examples themselves get the intent of those they resemble."""
    guess = await ask(intents, embedder, text)
    assert settle(guess, text, has_history=intent is Intent.FOLLOW_UP) is intent


async def test_foreign_text_is_less_in_scope_than_an_example(
    intents: Intents, embedder: MiniLM
) -> None:
    """What no example is about is recognised as such."""
    known = await ask(intents, embedder, "Good morning")
    foreign = await ask(intents, embedder, "king of acid suo2 zebra")
    assert known.scope > 0.7
    assert foreign.scope < 0.15


def test_what_resembles_nothing_is_a_question() -> None:
    """Searching in vain costs less than chatting about a question."""
    guess = Guess(Intent.SMALL_TALK, 0.4, 0.05)
    assert settle(guess, "Hi", has_history=True) is Intent.KNOWLEDGE
    guess = Guess(Intent.SMALL_TALK, 0.9, SURE)
    assert settle(guess, "Hi", has_history=True) is Intent.SMALL_TALK


def test_a_follow_up_needs_something_to_follow() -> None:
    """Without history it is unclear; with history, what is unclear follows up."""
    vague = "What about the other one?"
    follow = Guess(Intent.FOLLOW_UP, 0.9, SURE)
    assert settle(follow, vague, has_history=False) is Intent.CLARIFY
    assert settle(follow, vague, has_history=True) is Intent.FOLLOW_UP
    unclear = Guess(Intent.CLARIFY, 0.9, SURE)
    assert settle(unclear, "It is broken", has_history=True) is Intent.FOLLOW_UP
    assert settle(unclear, "It is broken", has_history=False) is Intent.CLARIFY


def test_a_question_that_names_its_subject_follows_nothing() -> None:
    """Pronouns alone do not make a first message unclear."""
    guess = Guess(Intent.FOLLOW_UP, 0.9, SURE)
    question = "Where did Tesla and Twain hang out?"
    assert settle(guess, question, has_history=False) is Intent.KNOWLEDGE


def test_a_correction_follows_up_and_is_no_feedback() -> None:
    """ "No, I meant ..." asks again; "that is wrong" only complains."""
    guess = Guess(Intent.FEEDBACK, 0.9, SURE)
    assert settle(guess, "No, I meant the Gold plan", has_history=True) is Intent.FOLLOW_UP
    assert settle(guess, "No, that is wrong", has_history=True) is Intent.FEEDBACK


async def test_a_tenants_file_adds_to_the_shipped_examples(
    intents: Intents, embedder: MiniLM, tmp_path: Path
) -> None:
    """One tenant's words mean something to it, and nothing to another tenant."""
    text = "Is the kraken awake yet?"
    before = await ask(intents, embedder, text)
    assert before.intent is Intent.KNOWLEDGE
    write(tmp_path / "acme.yaml", 'small_talk: ["Is the kraken awake?", "How is the kraken?"]\n')
    assert (await ask(intents, embedder, text)).intent is Intent.SMALL_TALK
    assert (await ask(intents, embedder, text, "other")).intent is Intent.KNOWLEDGE
    assert (await ask(intents, embedder, "hello there")).intent is Intent.SMALL_TALK


async def test_a_changed_file_is_learned_and_a_deleted_one_forgotten(
    intents: Intents, embedder: MiniLM, tmp_path: Path
) -> None:
    """Edits count from the next message on, without a restart."""
    path, text = tmp_path / "acme.yaml", "Is the kraken awake yet?"
    write(path, 'small_talk: ["Is the kraken awake?", "How is the kraken?"]\n')
    assert (await ask(intents, embedder, text)).intent is Intent.SMALL_TALK
    write(path, 'feedback: ["Is the kraken awake?", "How is the kraken?"]\n')
    assert (await ask(intents, embedder, text)).intent is Intent.FEEDBACK
    path.unlink()
    assert (await ask(intents, embedder, text)).intent is Intent.KNOWLEDGE


async def test_a_broken_edit_keeps_the_last_good_examples(
    intents: Intents, embedder: MiniLM, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A slip in an editor does not change what Parley understands, and is said once."""
    path, text = tmp_path / "acme.yaml", "Is the kraken awake yet?"
    write(path, 'small_talk: ["Is the kraken awake?", "How is the kraken?"]\n')
    assert (await ask(intents, embedder, text)).intent is Intent.SMALL_TALK
    write(path, "small_talk: [unclosed\n")
    with caplog.at_level("WARNING", "nodes.intents"):
        assert (await ask(intents, embedder, text)).intent is Intent.SMALL_TALK
        assert (await ask(intents, embedder, text)).intent is Intent.SMALL_TALK
    assert len(caplog.records) == 1
    assert "acme.yaml" in caplog.text


async def test_a_file_may_stand_alone(intents: Intents, embedder: MiniLM, tmp_path: Path) -> None:
    """With `extends: false` nothing of the shipped examples is left."""
    write(
        tmp_path / "acme.yaml",
        'extends: false\nfeedback: ["hello there"]\ngoodbye: ["until tomorrow"]\n',
    )
    assert (await ask(intents, embedder, "hello there")).intent is Intent.FEEDBACK


async def test_training_learns_the_shipped_examples(embedder: MiniLM) -> None:
    """Without a folder every tenant has what comes with Parley."""
    intents = await Intents.train(embedder)
    assert (await ask(intents, embedder, "hello there")).intent is Intent.SMALL_TALK


async def test_a_tenants_name_never_leads_out_of_the_folder(
    embedder: MiniLM, learned: tuple[Examples, Classifier, Vectors], tmp_path: Path
) -> None:
    """A tenant that is called like a path has the shipped examples."""
    folder = tmp_path / "intents"
    folder.mkdir()
    write(tmp_path / "evil.yaml", 'feedback: ["hello there"]\ngoodbye: ["until tomorrow"]\n')
    intents = Intents(embedder, *learned, folder=folder, look_seconds=0.0)
    guess = await ask(intents, embedder, "hello there", "../evil")
    assert guess.intent is Intent.SMALL_TALK


def test_the_shipped_examples_are_complete() -> None:
    """Each intent with a branch of its own has examples, and none stands twice."""
    examples = read(DEFAULT_EXAMPLES).sentences
    assert set(examples) == set(Intent) - {Intent.OUT_OF_SCOPE}
    sentences = [text.casefold() for texts in examples.values() for text in texts]
    assert len(sentences) == len(set(sentences))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("smalltalk: [hi]\ngoodbye: [bye]", "smalltalk: unknown intent"),
        ("small_talk: hi\ngoodbye: [bye]", "small_talk: a list of sentences"),
        ("small_talk: [hi, 12]\ngoodbye: [bye]", "small_talk, 2: text is wanted"),
        ("small_talk: [hi]\ngoodbye: [Hi]", "goodbye, 1: stands under small_talk"),
        ("small_talk: [hi]", "at least two intents"),
        ("- hi", "a mapping of intent to sentences"),
        ("small_talk: [", "not valid YAML"),
        ("extends: maybe\nsmall_talk: [hi]\ngoodbye: [bye]", "extends: true or false"),
        (f"small_talk: [{'x' * 501}]\ngoodbye: [bye]", "longer than 500"),
        ("\udcff", "cannot be read"),
    ],
)
def test_faults_in_a_file_are_named(tmp_path: Path, text: str, complaint: str) -> None:
    """Whoever edits the file reads which line is wrong and why."""
    path = tmp_path / "examples.yaml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(SettingsInvalid) as error:
        read(path)
    assert complaint in error.value.message
    assert error.value.message.startswith("examples.yaml: ")

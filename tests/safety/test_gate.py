from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random

import pytest

from safety.code import Code
from safety.credentials import Credentials
from safety.encoded import Encoded
from safety.gate import MAX_HOLD, StreamGate, whole
from safety.leak import Leak
from safety.links import Links
from safety.pii import Pii
from safety.toxic import Toxic
from safety.verdict import Action, Detector, Edit, Finding, Hit, apply
from tests.safety.streams import chunks, dense, long, short
from tests.safety.test_credentials import CREDENTIALS

PROMPT = "You answer from documents. Put the number of the source behind every single sentence."
FEW: list[Detector] = [Credentials(), Pii()]
ALL: list[Detector] = [
    *FEW,
    Encoded([Credentials()]),
    Leak(PROMPT),
    Links(["example.com"]),
    Code(),
    Toxic.load(),
]


AWS_KEY = "AKIA" + "QRSTUVWXYZ234567"


def redact(check: str, hit: Hit) -> Action:
    """Judge everything the same."""
    return "redact"


def mixed(check: str, hit: Hit) -> Action | None:
    """Judge by the kind, so that every action comes up."""
    actions: tuple[Action | None, ...] = ("redact", "redact", "redact", "warn", "block", None)
    return actions[len(hit.kind) % 6]


def streamed(gate: StreamGate, parts: Sequence[str]) -> str:
    """Return what leaves, after checking that no more is held than may be."""
    left = []
    for part in parts:
        left.append(gate.feed(part))
        assert gate.held <= MAX_HOLD
    return "".join([*left, gate.finish()])


@pytest.mark.parametrize("share", range(4))
def test_a_stream_gives_what_the_whole_text_gives(share: int) -> None:
    """In 20 000 texts in any chunks: the same text, the same findings, the same block."""
    for seed in range(5000 * share, 5000 * (share + 1)):
        random = Random(seed)
        text = short(random)
        judge = random.choice((redact, mixed))
        gate = StreamGate(FEW, judge)
        left = streamed(gate, chunks(text, random))
        assert (left, tuple(gate.findings), gate.blocked) == whole(text, FEW, judge), seed


@pytest.mark.parametrize("share", range(4))
def test_so_it_does_with_every_detector_and_longer_than_may_be_held(share: int) -> None:
    """Keys of many lines, words of 1 500 characters, links that carry data, our own prompt."""
    for seed in range(20 * share, 20 * (share + 1)):
        random = Random(seed)
        said = " ".join(PROMPT.split()[random.randint(0, 5) : random.randint(6, 20)])
        text = long(random) + said + random.choice((" ", ". ", " of\n")) + short(random)
        judge = random.choice((redact, mixed))
        gate = StreamGate(ALL, judge)
        left = streamed(gate, chunks(text, random))
        assert (left, tuple(gate.findings), gate.blocked) == whole(text, ALL, judge), seed


def test_so_it_does_where_every_word_is_a_number_or_its_label() -> None:
    """Some of a few groups, some longer than may be held, in several languages."""
    for seed in range(60):
        random = Random(seed)
        text = dense(random, random.choice((6, 40, 120)))
        gate = StreamGate(ALL, redact)
        left = streamed(gate, chunks(text, random))
        assert (left, tuple(gate.findings), gate.blocked) == whole(text, ALL, redact), seed


def test_no_label_leaves_before_its_number() -> None:
    """Numbers are found in units as in the whole text, however close they stand."""
    for seed in range(300):
        text = dense(Random(seed), 12)
        edits = [Edit(hit.start, hit.end, hit.replacement) for hit in Pii().find(text)]
        assert whole(text, [Pii()], redact)[0] == apply(text, edits), seed


@pytest.mark.parametrize("text", ["4111 1111 ", "+1 202 ", "0 30 ", "１２ ", "电话", "x() ", "< "])
def test_no_text_is_looked_at_again_and_again(text: str) -> None:
    """What detectors see in all is a small multiple of what came, however much of it waits."""
    seen = 0

    class Counted(Pii):
        def find(self, text: str) -> list[Hit]:
            nonlocal seen
            seen += len(text)
            return super().find(text)

    said = (text * 4000)[:4000]
    gate = StreamGate([Counted(), *ALL[2:]], redact)
    streamed(gate, [said])
    assert seen < 8 * len(said)


def test_units_see_what_the_detectors_see_in_the_whole_text() -> None:
    """Where nothing is too long to be held, cutting into units changes no finding."""
    for seed in range(800):
        text = short(Random(seed))
        if "PRIVATE" in text:
            continue
        hits = [hit for one in ALL for hit in one.find(text)]
        edits = [Edit(hit.start, hit.end, hit.replacement) for hit in hits]
        assert whole(text, ALL, redact)[0] == apply(text, edits), seed


@pytest.mark.parametrize(("kind", "credential"), CREDENTIALS)
def test_no_part_of_a_credential_leaves(kind: str, credential: str) -> None:
    """Split at every place, in a sentence, in a long word: it is replaced or ends the answer."""
    before, after = ("postgres://", "@host") if kind == "password_in_url" else ("", "")
    for around in ("Use {} now.", "x" * 700 + "/{}", "see:{},\n你好{}"):
        text = around.format(*[before + credential + after] * 2)
        for place in range(0, len(text), 1 + len(text) // 24):
            gate = StreamGate(FEW, redact)
            left = gate.feed(text[:place]) + gate.feed(text[place:]) + gate.finish()
            assert credential[-12:] not in left
            assert credential[: len(credential) // 2] not in left
            assert {finding.detail for finding in gate.findings} & {kind, "openai_like_key"}


def test_a_block_ends_the_stream_before_the_finding() -> None:
    """What stood before it has left, nothing of it or after it does, and nothing is held."""
    gate = StreamGate(FEW, lambda check, hit: "block")
    text = f"Here it is: {AWS_KEY} and more."
    assert streamed(gate, text) == "Here it is: "
    assert gate.blocked == Finding("credentials", "high", "block", "aws_key_id", "output")
    assert gate.feed("Still there?") + gate.finish() == ""
    assert gate.held == 0


def test_a_warning_passes_and_is_noted() -> None:
    """The text is as it was; the finding says what it was about, and not the text."""
    gate = StreamGate(FEW, lambda check, hit: "warn")
    assert streamed(gate, "Mail a@b.com, ok?") == "Mail a@b.com, ok?"
    assert gate.findings == [Finding("pii", gate.findings[0].severity, "warn", "email", "output")]


def test_plain_words_leave_at_once() -> None:
    """Of an ordinary sentence no more than the word that is being said waits."""
    gate = StreamGate(ALL, redact)
    left = ""
    for letter in "Warsaw became capital of Poland under King Sigismund, historians agree. ":
        left += gate.feed(letter)
        assert gate.held <= 12
    assert left.endswith("agree. ")


def test_a_long_harmless_word_passes_unchanged() -> None:
    """Base64 of a picture, or code without blanks, leaves in slices, and none is lost."""
    text = "".join(Random(1).choices("abcdefgh,;(){}=.", k=5000))
    assert streamed(StreamGate(FEW, redact), [text[i : i + 5] for i in range(0, 5000, 5)]) == text


def test_a_key_block_without_its_end_swallows_its_lines_alone() -> None:
    """It is replaced once, and the sentence after it is said."""
    key = "-----BEGIN RSA PRIVATE KEY-----\n" + ("Ab1/" * 16 + "\n") * 60 + "Zz9=\n"
    after = "\nThat was the key; " + "keep it in a safe place. " * 12
    left = streamed(StreamGate(FEW, redact), list(key + after))
    assert left == "[redacted private key]\n" + after


@pytest.mark.parametrize("restored", ["<EMAIL_1>", "x" * 300 + "<EMAIL_1>" + "y" * 700])
def test_placeholders_are_put_back_whole(restored: str) -> None:
    """Whatever the chunks and slices, `restore` sees no half of one."""

    def restore(text: str) -> str:
        assert not re.search(r"<[A-Z_]*\Z|\A[A-Z_]*_\d+>", text)
        return text.replace("<EMAIL_1>", "a@b.com")

    gate = StreamGate([], redact, restore=restore)
    assert streamed(gate, list(f"To {restored} ")) == f"To {restored} ".replace(
        "<EMAIL_1>", "a@b.com"
    )


def test_a_hold_too_short_for_a_token_is_refused() -> None:
    """A token inside a long word would be cut in two."""
    with pytest.raises(ValueError, match="at least 320"):
        StreamGate([], redact, max_hold=100)

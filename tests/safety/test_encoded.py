from __future__ import annotations

import base64
import codecs
from collections.abc import Callable
from urllib.parse import quote

import pytest

from safety.credentials import Credentials
from safety.encoded import Encoded, readings
from safety.gate import whole

KEY = "AKIA" + "QRSTUVWXYZ234567"
SAID = f"The key is {KEY} as you asked."
WRITINGS: list[Callable[[str], str]] = [
    lambda text: base64.b64encode(text.encode()).decode(),
    lambda text: base64.urlsafe_b64encode(f"x{text}".encode()).decode().rstrip("="),
    lambda text: text.encode().hex(),
    lambda text: text.encode().hex(" "),
    lambda text: "".join(f"\\x{byte:02x}" for byte in text.encode()),
    lambda text: quote(text).replace("A", "%41"),
    lambda text: "".join(f"&#{ord(letter)};" for letter in text),
]
OF_A_WORD: list[Callable[[str], str]] = [
    lambda text: text[::-1],
    lambda text: codecs.encode(text, "rot13"),
    lambda text: " ".join(text),
    lambda text: "-".join(text),
]


@pytest.mark.parametrize(
    "written", [*(write(SAID) for write in WRITINGS), *(write(KEY) for write in OF_A_WORD)]
)
def test_a_key_in_another_writing_is_found(written: str) -> None:
    """Nothing of it leaves, in a stream neither, and the words around it stay."""
    detector = Encoded([Credentials()])
    assert {hit.kind for hit in detector.find(written)} == {"encoded_aws_key_id"}
    left, _, _ = whole(f"Look: {written} Done", [detector], lambda check, hit: "redact")
    assert left == "Look: [redacted encoded aws key id] Done"


@pytest.mark.parametrize(
    "text",
    [
        "A long sentence of plain words, with internationalization in it.",
        "sha256: " + "0123456789abcdef" * 4,
        base64.b64encode(bytes(range(256)) * 2).decode(),
        "a b c d e f g h i j k l m n o p",
        "",
    ],
)
def test_what_hides_nothing_passes(text: str) -> None:
    """Words, hashes, pictures and the alphabet."""
    assert not Encoded([Credentials()]).find(text)


@pytest.mark.parametrize("unit", ["a", "%41", "a ", "41 ", "&#65;", "QUJD"])
def test_long_hostile_text_is_bearable(unit: str) -> None:
    """Reading is linear: 100 000 characters are done; anything worse runs into the timeout."""
    assert sum(1 for _ in readings(unit * (100_000 // len(unit)))) < 100

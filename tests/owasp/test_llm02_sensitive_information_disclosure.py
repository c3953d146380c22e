"""LLM02: secrets and personal data that leave in answers, traces or to models of others."""

from __future__ import annotations

import pytest

from safety.placeholders import mask_plain
from tests.owasp.conftest import Turn, said, shown

KEY = "AKIA" + "Q3EGR7XN2LD5WVTB"
CARD = "4111 1111 1111 1111"


@pytest.mark.parametrize("secret", [KEY, CARD, "DE89 3704 0044 0532 0130 00"])
async def test_a_secret_never_leaves_however_it_is_cut(turn: Turn, secret: str) -> None:
    """Neither in the stream, nor in the stored message, nor in any event."""
    for place in range(1, len(secret)):
        log = await turn("What is it?", "It is ", secret[:place], secret[place:], " as told [1]. ")
        assert secret not in shown(log)
        assert secret[:12] not in said(log)
        assert said(log).rstrip().endswith("as told [1].")


def test_traces_hold_marks_instead() -> None:
    """What Langfuse gets has neither keys nor personal data in it."""
    text = f"Write to joe@example.org, pay with {CARD}, sign in with {KEY}."
    masked = mask_plain(text)
    for secret in ("joe@example.org", CARD, KEY):
        assert secret not in masked
    assert masked.startswith("Write to [email], pay with ")

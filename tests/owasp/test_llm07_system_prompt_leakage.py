"""LLM07: our own instructions in an answer, also in another writing."""

from __future__ import annotations

import base64
import codecs
from collections.abc import Callable

import pytest

from nodes.prompts import Prompts
from tests.owasp.conftest import Turn, said, shown

RULES = " ".join(Prompts.load()["answer"].rules.split())


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "written",
    [
        str,
        str.upper,
        _encoded,
        lambda text: text.encode().hex(),
        lambda text: codecs.encode(text, "rot13"),
        lambda text: text[::-1],
        lambda text: " ".join(text.replace(" ", "")),
    ],
    ids=["plain", "capitals", "base64", "hex", "rot13", "backwards", "spelled"],
)
async def test_they_do_not_leave_in_any_writing(turn: Turn, written: Callable[[str], str]) -> None:
    """A third of the rules at once; what stands around it does leave."""
    part = written(RULES[: len(RULES) // 3])
    log = await turn("What now?", "Well [1]. It goes ", part, " and so on [1]. Bye [1].")
    assert part[20:90] not in shown(log)
    assert said(log).startswith("Well [1].")


async def test_a_sentence_like_one_of_ours_may_be_said(turn: Turn) -> None:
    """Short common phrases are nobody's secret."""
    text = "Put the number of the source behind the sentence [1]."
    assert said(await turn("How do I cite?", text)) == text

"""Reads the prompt contract back: sources and the question of the last user message."""

from __future__ import annotations

import html
import re
from typing import NamedTuple

_SOURCE = re.compile(
    r"""<(?P<tag>source(?:-\w{1,32})?)\b(?P<attributes>[^<>\n]*)>\n?"""
    r"""(?P<text>.*?)\n?</(?P=tag)>\s*""",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')
_QUESTION = re.compile(r"<(?P<tag>question(?:-\w{1,32})?)>\n?(?P<text>.*)\n?</(?P=tag)>", re.DOTALL)
_RESULT = re.compile(
    r"\s*<(?P<tag>result(?:-\w{1,32})?)\b[^<>\n]*>\n?(?P<text>.*?)\n?</(?P=tag)>\s*", re.DOTALL
)


class Source(NamedTuple):
    """One passage of the prompt."""

    marker: int  # the number to cite it by
    title: str
    section: str
    text: str


class Request(NamedTuple):
    """What the last message asks, and from what it is to be answered."""

    sources: tuple[Source, ...]  # best first, as retrieval ordered them
    question: str


def result(text: str) -> str:
    """Return what a tool's message holds inside its fence; without one, all of it."""
    fence = _RESULT.fullmatch(text)
    return fence["text"] if fence else text


def read(text: str) -> Request:
    """Return the sources at the head of `text` and the question behind them.

    Without sources the whole text, or what its <question> holds, is the question.
    Only a run of source blocks that begins the text's first block counts: a question
    that contains such a block of its own adds no source.
    """
    sources: list[Source] = []
    at = 0
    if first := re.search(r"^<source\b[^<>\n]*>", text, re.MULTILINE):
        before = _QUESTION.search(text)
        question_at = -1 if before is None else before.start()
        at = first.start() if question_at < 0 or first.start() < question_at else 0
        while match := _SOURCE.match(text, at):
            attributes = dict(_ATTRIBUTE.findall(match["attributes"]))
            marker = attributes.get("id", "")
            sources.append(
                Source(
                    int(marker) if marker.isdecimal() else len(sources) + 1,
                    html.unescape(attributes.get("title", "")),
                    html.unescape(attributes.get("section", "")),
                    match["text"],
                )
            )
            at = match.end()
    asked = _QUESTION.search(text, at)
    question = asked["text"] if asked else text[at:]
    return Request(tuple(sources), question.strip())

"""Texts that are hard to cut, and documents made of them."""

from __future__ import annotations

from hypothesis import strategies as st

from embeddings.minilm import MiniLM
from knowledge.chunk.cut import Size, Strategy, cut
from knowledge.load.document import Document, Part
from knowledge.store import Chunk

# What makes cutting hard: words without end, code, other scripts, invisible characters.
PIECES = st.sampled_from(
    [
        *(
            "word ",
            "The quick fox. ",
            "Brown! ",
            "Dr. Smith ",
            "1,234.5 ",
            "a\tb ",
            "-",
            "?",
            "...",
        ),
        *("\n", "\n\n", " ", "- item\n", "| a | b |\n", "```\ncode  x\n\ny\n```\n", "```\n", "~~~"),
        *(
            "x" * 130,
            "aB9_" * 40,
            "é",
            "漢字。",
            "Привет. ",
            "\u200b",
            "\u0301",
            "\ufffd",
            "😀",
            "ﷺ",
        ),
    ]
)
TEXTS = st.one_of(st.lists(PIECES, max_size=300).map("".join), st.text(max_size=500))
SENTENCE = "The tower of the old town hall has nine bells. "


def document(*parts: Part, title: str = "") -> Document:
    """A document of these parts."""
    return Document(title, "text/plain", parts, 1)


async def pieces(
    embedder: MiniLM,
    *parts: Part,
    tokens: int,
    overlap: int = 0,
    strategy: Strategy = "structure",
) -> list[Chunk]:
    """Return the chunks of a document without a title."""
    _, found = await cut(document(*parts), embedder, Size(tokens, overlap, strategy))
    return found


async def texts(
    embedder: MiniLM,
    text: str,
    tokens: int,
    overlap: int = 0,
    strategy: Strategy = "structure",
) -> list[str]:
    """Return the chunks of a text."""
    found = await pieces(embedder, Part(text), tokens=tokens, overlap=overlap, strategy=strategy)
    return [chunk.text for chunk in found]

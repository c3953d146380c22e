"""Token counters that need no server: a tokenizer's file, the embedding model's, an estimate."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import orjson

from core.errors import SettingsInvalid
from core.text import scrub
from embeddings.base import Embedder
from tgi.embedded.engine import offered, template
from tgi.embedded.wire import ChatRequest, parse
from tgi.tokens import Message

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# Chat templates put 3 to 6 tokens around a message (ChatML, Llama 3, Mistral), some a preamble.
MESSAGE_TOKENS = 8
PROMPT_TOKENS = 32
# Measured against the vocabularies of two large models (65 000 and 100 000 tokens) over prose in
# ten languages, code, tables, JSON, base64 and emoji: 1.0 to 2.6 times the true count, 1.3 to 1.5
# for English. WordPiece makes one token of a word that it does not know, drops accents and the
# vowel signs of Indic scripts, and has no token for white space.
FACTOR = 1.3
FACTOR_BLANKS = 0.35  # of a line break, or of two blanks in a row
FACTOR_MARKED = 0.12  # of a byte outside ASCII
FACTOR_UNKNOWN = 0.7  # of a byte in what is one unknown word
_UNKNOWN = re.compile(r"[\U00010000-\U0010ffff]+|[^\W_]{65,}")
_BLANKS = re.compile(r"\n|[ \t]{2}")


class FileTokens:
    """The tokenizer of a model, from its `tokenizer.json`; what a chat template adds is guessed."""

    name = "tokenizer.json"
    exact = False

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return the counter; raises SettingsInvalid when the file is no tokenizer's."""
        from tokenizers import Tokenizer  # a tenth of a second: only who loads pays

        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises bare Exceptions
            raise SettingsInvalid(f"{path} is no tokenizer: {error}") from error
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return cls(tokenizer)

    async def count(self, texts: Sequence[str]) -> list[int]:
        """Return the tokens of each text."""
        return await asyncio.to_thread(lambda: [self._tokens(text) for text in texts])

    async def chat(self, messages: Sequence[Message], tools: Sequence[Message] = ()) -> int:
        """Return about the tokens of a whole prompt, rather too many than too few."""
        return sum(await self.count(said(messages, tools))) + framing(messages)

    def _tokens(self, text: str) -> int:
        return len(self._tokenizer.encode(scrub(text), add_special_tokens=False).ids)


class EmbedderTokens:
    """The embedding model's tokenizer, which is the embedded server's own."""

    name = "embedded server"
    exact = True

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    async def count(self, texts: Sequence[str]) -> list[int]:
        """Return the tokens of each text."""
        return [self._embedder.count_tokens(text) for text in texts]

    async def chat(self, messages: Sequence[Message], tools: Sequence[Message] = ()) -> int:
        """Return the tokens of a whole prompt."""
        asked: dict[str, object] = {"messages": list(messages)}
        if tools:
            asked["tools"] = list(tools)
        request = parse(ChatRequest, asked)
        return self._embedder.count_tokens(template(request.messages, offered(request)[0]))


class EstimatedTokens:
    """What any model will need at most, as far as that can be told from another's tokenizer."""

    name = "estimate"
    exact = False

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    async def count(self, texts: Sequence[str]) -> list[int]:
        """Return about the tokens of each text, rather too many than too few."""
        return [self._estimate(text) for text in texts]

    async def chat(self, messages: Sequence[Message], tools: Sequence[Message] = ()) -> int:
        """Return about the tokens of a whole prompt, rather too many than too few."""
        return sum(await self.count(said(messages, tools))) + framing(messages)

    def _estimate(self, text: str) -> int:
        marked = len(text.encode("utf-8", "replace")) - len(text)
        unknown = sum(len(word.encode()) for word in _UNKNOWN.findall(scrub(text)))
        return math.ceil(
            FACTOR * self._embedder.count_tokens(text)
            + FACTOR_BLANKS * len(_BLANKS.findall(text))
            + FACTOR_MARKED * marked
            + FACTOR_UNKNOWN * unknown
        )


def said(messages: Sequence[Message], tools: Sequence[Message] = ()) -> list[str]:
    """Return the texts of a prompt: what messages say and call, and the tools that are offered."""
    texts: list[str] = [str(message.get("content") or "") for message in messages]
    called = [message["tool_calls"] for message in messages if message.get("tool_calls")]
    return texts + [orjson.dumps(one).decode() for one in [*called, *tools]]


def framing(messages: Sequence[Message]) -> int:
    """Return what a chat template adds at most."""
    return PROMPT_TOKENS + MESSAGE_TOKENS * len(messages)

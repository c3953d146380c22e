"""The model that stands in where there is no GPU: it quotes, picks and fills, and makes up nothing.

Deterministic: the same request gets the same answer, whatever was asked before.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from embeddings.base import Embedder
from embeddings.rarity import Rarity
from tgi.embedded import calls, parameters, summary, talk
from tgi.embedded.answer import ABSTAIN, clean, compose, shorten
from tgi.embedded.context import Readings
from tgi.embedded.evidence import find
from tgi.embedded.model import Reply, TokenSpan, ToolChoice
from tgi.embedded.prompt import Source, read, result
from tgi.embedded.questions import Question, standalone
from tgi.embedded.schemas import instance, matching
from tgi.embedded.vectors import Vectors

RESULT_WORDS = 80


class ExtractiveModel:
    """Answers from the sources of its prompt with citations, or says that it does not know."""

    name = "parley-extractive"
    version = "2"

    def __init__(self, embedder: Embedder, fitted: parameters.Parameters | None = None) -> None:
        self._embedder = embedder
        self._vectors = Vectors(embedder)
        self._readings = Readings(embedder, Rarity.load())
        self._fitted = fitted or parameters.load()

    async def chat(
        self,
        messages: Sequence[dict[str, Any]],
        *,
        tools: Sequence[dict[str, Any]] | None = None,
        tool_choice: ToolChoice = "auto",
        response_schema: dict[str, Any] | None = None,
        max_tokens: int | None = None,
    ) -> Reply:
        """Answer the last message; see tgi.embedded.model.Model.

        What happened since the user's last message counts: a tool's result is answered from,
        and no tool is called again.
        """
        at = _last_user(messages)
        asked = _text(messages[at]) if at is not None else ""
        earlier = messages[:at] if at is not None else ()
        results = [
            result(_text(message))
            for message in messages[(at or 0) :]
            if message.get("role") == "tool"
        ]
        if response_schema is not None:
            return Reply(
                text=instance(response_schema, "\n".join([read(asked).question, *results]))
            )
        if tools and tool_choice != "none" and not results:
            reply = await calls.propose(
                read(asked).question, calls.read(tools), tool_choice, self._vectors
            )
            if reply is not None:
                return reply
        if results:
            return Reply(text=await self._from_results(asked, results))
        return Reply(text=await self._answer(asked, earlier))

    async def generate(
        self, prompt: str, *, grammar: dict[str, Any] | None = None, max_tokens: int | None = None
    ) -> Reply:
        """Continue a plain prompt: the same answers, from the sources in it."""
        if grammar is None:
            return Reply(text=await self._answer(prompt, ()))
        if grammar.get("type") == "regex":
            return Reply(text=matching(str(grammar["value"]), prompt))
        return Reply(text=instance(grammar["value"], prompt))

    def tokens(self, text: str) -> list[TokenSpan]:
        """Return the embedding model's tokens of `text`: the counts are real.

        The ids are ours: stable numbers for the token's characters.
        """
        return [
            TokenSpan(zlib.crc32(part.encode("utf-8", "replace")) & 0xFFFF, part, start, stop)
            for start, stop in self._embedder.offsets(text)
            if (part := text[start:stop])
        ]

    async def _answer(self, asked: str, earlier: Sequence[Mapping[str, Any]]) -> str:
        request = read(asked)
        if request.sources:
            before = [_text(message) for message in earlier if message.get("role") == "user"]
            question = standalone(request.question, [read(text).question for text in before])
            return await self._from_sources(question, request.sources)
        system = [_text(message) for message in earlier if message.get("role") == "system"]
        for instruction in (asked, *system):
            if task := summary.asked(instruction, asked):
                if task.kind == "title":
                    return summary.title(task.text) or ABSTAIN
                return await summary.summarise(task.text, self._vectors) or ABSTAIN
        return await talk.reply(request.question, _examples(earlier), self._vectors)

    async def _from_sources(self, asked: str, sources: Sequence[Source]) -> str:
        question = Question(asked)
        finding = await find(question, sources, self._readings, self._fitted)
        if not finding.supported:
            return ABSTAIN
        quoted = compose(finding.evidence, sources, question.unique, against=finding.against)
        return quoted or ABSTAIN

    async def _from_results(self, asked: str, results: Sequence[str]) -> str:
        """Return what the tools' results say to the question; they are no sources to cite."""
        said = [_told(result) for result in results]
        whole = " ".join(" ".join(text.split()) for text in said).strip()
        if len(whole.split()) <= RESULT_WORDS:
            return whole or ABSTAIN
        question = Question(read(asked).question)
        sources = [Source(n, "", "", text) for n, text in enumerate(said, 1)]
        finding = await find(question, sources, self._readings, self._fitted)
        best = finding.evidence[0].candidate.text if finding.evidence else whole
        return shorten(clean(best), RESULT_WORDS, question.unique)


def _last_user(messages: Sequence[Mapping[str, Any]]) -> int | None:
    places = [at for at, message in enumerate(messages) if message.get("role") == "user"]
    return places[-1] if places else None


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    return content if isinstance(content, str) else ""


def _examples(messages: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return what users said and what was answered right after."""
    return [
        (_text(one), _text(two))
        for one, two in pairwise(messages)
        if one.get("role") == "user" and two.get("role") == "assistant" and _text(two)
    ]


def _told(result: str) -> str:
    """Return a tool's result as text: JSON as lines of "name: value"."""
    try:
        value = json.loads(result)
    except ValueError:
        return result
    return "\n".join(_lines(value, ""))


def _lines(value: Any, name: str) -> list[str]:
    if isinstance(value, Mapping):
        return [
            line
            for key, inner in value.items()
            for line in _lines(inner, f"{name} {key}".strip().replace("_", " "))
        ]
    if isinstance(value, list):
        return [line for inner in value for line in _lines(inner, name)]
    said = {True: "yes", False: "no", None: "none"}.get(value, value) if _is_plain(value) else value
    return [f"{name}: {said}." if name else f"{said}"]


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool)

"""The last cut of a prompt, just before it is sent: by the tokens of the model that will read it.

`recall` and `assemble` have cut before, by the embedding model's tokens; here the server's own
count decides. Each part has a limit, and all of them have to fit beside the answer.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from core.errors import PromptTooLong
from core.turn import HistoryMessage, Passage
from knowledge.assemble import Order, edges
from knowledge.merge import chunk_ids
from nodes.cut import first, shortened
from tgi.tokens import Message, TokenCounter


@dataclass(frozen=True, slots=True)
class PartLimits:
    """Tokens that a prompt and its parts may have. Raises ValueError when nothing could fit."""

    context: int  # of the model: the prompt and the answer together
    output: int = 2000  # kept free for the answer
    system: int = 2000  # our rules, and the instructions of whoever runs the client
    history: int = 4000  # earlier messages
    sources: int = 4000  # passages with what frames them

    def __post_init__(self) -> None:
        """Refuse an answer that leaves no room for a question."""
        if not 0 < self.output < self.context:
            raise ValueError("the answer has to leave room for a prompt")

    @property
    def room(self) -> int:
        """Return the tokens of a whole prompt at most."""
        return self.context - self.output


@dataclass(frozen=True, slots=True)
class Parts:
    """What a prompt could be made of."""

    system: str
    question: str
    history: Sequence[HistoryMessage]  # oldest first
    passages: Sequence[Passage]  # as the prompt would number them
    # The messages as they are sent, with this much history and these passages.
    render: Callable[[Sequence[HistoryMessage], Sequence[Passage]], Sequence[Message]]
    tools: Sequence[Message] = ()
    order: Order = "best_first"  # of the passages


@dataclass(frozen=True, slots=True)
class Fitted:
    """What is left for the prompt."""

    history: list[HistoryMessage]
    passages: list[Passage]
    prompt_tokens: int  # of the whole prompt, after the chat template
    record: dict[str, Any]  # for the turn log: tokens and limit by part, and what was left out


async def fit(parts: Parts, limits: PartLimits, counter: TokenCounter) -> Fitted:
    """Return the history and the passages that fit; the rest of the prompt is never cut.

    Of the history the oldest exchanges go first, of the passages the least relevant. Where both
    fit their limits and not the model, older exchanges go before passages; the newest one goes
    when not even the best passage fits beside it. The best passage stays, if need be cut at the
    end of a sentence.
    Raises PromptTooLong when what has to stay is too long, and ModelError as `counter` does.
    """
    draft = await _Draft.counted(parts, counter)
    if draft.system > limits.system:
        raise PromptTooLong(
            f"The instructions have {draft.system} tokens; the limit is {limits.system}."
        )
    draft.exchanges = _newest(draft.exchanges, limits.history)
    draft = await _with_sources(draft, limits.sources)
    whole: dict[tuple[int, int], int] = {}

    async def fits(draft: _Draft) -> bool:
        whole[draft.size] = await draft.whole()
        return whole[draft.size] <= limits.room

    for steps in (draft.with_history(), draft.without_history()):
        chosen = await first(steps, fits)
        if chosen is not None:
            chosen = await _refilled(chosen, draft.exchanges, fits)
            return chosen.fitted(limits, whole[chosen.size])
    least = draft.without_history()[-1]

    async def fits_cut(passage: Passage) -> bool:
        return await least.with_best(passage, 0).whole() <= limits.room

    short = None if least.best is None else await shortened(least.best, fits_cut)
    if short is None:
        raise PromptTooLong(
            f"The prompt has {whole[least.size]} tokens without all that can be left out; the "
            f"model takes {limits.room} beside an answer of {limits.output}."
        )
    [tokens] = await counter.count([framed(short)])
    least = least.with_best(short, tokens)
    return least.fitted(limits, await least.whole())


def framed(passage: Passage) -> str:
    """Return a passage about as it stands in a prompt."""
    head = f'<source-12345678 id="1" title="{passage["title"]}" section="{passage["section"]}">'
    return f"{head}\n{passage['text']}\n</source-12345678>"


@dataclass(frozen=True, slots=True)
class _Exchange:
    """A question with its answers."""

    messages: tuple[HistoryMessage, ...]
    tokens: int


@dataclass(frozen=True, slots=True)
class _Source:
    """A passage, and its place in the prompt."""

    place: int
    passage: Passage
    tokens: int


@dataclass(slots=True)
class _Draft:
    """A prompt, and what each part of it counts."""

    parts: Parts
    counter: TokenCounter
    system: int
    question: int
    exchanges: Sequence[_Exchange]  # oldest first
    sources: Sequence[_Source]  # the most relevant first
    cut: bool = False  # the best passage is not whole

    @classmethod
    async def counted(cls, parts: Parts, counter: TokenCounter) -> _Draft:
        """Return the draft with everything in it."""
        system, question, *counts = await counter.count(
            [
                parts.system,
                parts.question,
                *(message["content"] for message in parts.history),
                *map(framed, parts.passages),
            ]
        )
        said = len(parts.history)
        places = list(range(len(parts.passages)))
        # What stands at a place of a list with the best at both ends, by relevance.
        ranks = edges(places) if parts.order == "edges" else places
        return cls(
            parts,
            counter,
            system,
            question,
            _exchanges(parts.history, counts[:said]),
            [
                _Source(place, parts.passages[place], counts[said + place])
                for place in sorted(places, key=ranks.__getitem__)
            ],
        )

    @property
    def history(self) -> list[HistoryMessage]:
        """Return the messages that are left, oldest first."""
        return [message for exchange in self.exchanges for message in exchange.messages]

    @property
    def passages(self) -> list[Passage]:
        """Return the passages that are left, in the order of the prompt."""
        return [one.passage for one in sorted(self.sources, key=lambda one: one.place)]

    @property
    def best(self) -> Passage | None:
        """Return the most relevant passage."""
        return self.sources[0].passage if self.sources else None

    @property
    def size(self) -> tuple[int, int]:
        """Return how many exchanges and passages are left."""
        return len(self.exchanges), len(self.sources)

    def with_best(self, passage: Passage, tokens: int) -> _Draft:
        """Return a draft with the best passage cut."""
        best = _Source(self.sources[0].place, passage, tokens)
        return replace(self, sources=[best, *self.sources[1:]], cut=True)

    def with_history(self) -> list[_Draft]:
        """Return drafts with ever less in them; the newest exchange and the best passage stay."""
        if not self.exchanges:
            return []
        fewer = [replace(self, exchanges=self.exchanges[n:]) for n in range(len(self.exchanges))]
        return [*fewer, *fewer[-1].fewer_sources()[1:]]

    def without_history(self) -> list[_Draft]:
        """Return drafts with ever fewer passages; the best one stays."""
        return replace(self, exchanges=[]).fewer_sources()

    def fewer_sources(self) -> list[_Draft]:
        """Return this draft, then the same with ever fewer passages; the best one stays."""
        fewer = range(len(self.sources) - 1, 0, -1)
        return [self, *(replace(self, sources=self.sources[:number]) for number in fewer)]

    async def whole(self) -> int:
        """Return the tokens of the whole prompt."""
        messages = self.parts.render(self.history, self.passages)
        return await self.counter.chat(messages, self.parts.tools)

    def fitted(self, limits: PartLimits, whole: int) -> Fitted:
        """Return what is left, with its record."""
        history = sum(exchange.tokens for exchange in self.exchanges)
        sources = sum(source.tokens for source in self.sources)
        frame = max(0, whole - self.system - history - sources - self.question)
        counts = {
            "system": (self.system, limits.system),
            "history": (history, limits.history),
            "sources": (sources, limits.sources),
            "question": (self.question, limits.room),
            "frame": (frame, limits.room),  # the chat template, tools and their results
            "output": (limits.output, limits.output),
        }
        kept = {source.place for source in self.sources}
        gone = len(self.parts.history) - len(self.history)
        return Fitted(
            history=self.history,
            passages=self.passages,
            prompt_tokens=whole,
            record={
                "tokenizer": self.counter.name,
                "exact": self.counter.exact,
                "context": limits.context,
                "prompt_tokens": whole,
                "parts": {
                    name: {"tokens": tokens, "limit": limit}
                    for name, (tokens, limit) in counts.items()
                },
                "dropped": {
                    "history": [message["seq"] for message in self.parts.history[:gone]],
                    "sources": [
                        sorted(chunk_ids(passage))
                        for place, passage in enumerate(self.parts.passages)
                        if place not in kept
                    ],
                    "cut": self.sources[0].passage["chunk_id"] if self.cut else None,
                },
            },
        )


def _exchanges(history: Sequence[HistoryMessage], counts: Sequence[int]) -> list[_Exchange]:
    """Return messages by question; what stands before the first question is left out.

    Chat templates refuse a conversation that does not begin with the user.
    """
    found: list[_Exchange] = []
    for message, tokens in zip(history, counts, strict=True):
        if message["role"] == "user":
            found.append(_Exchange((message,), tokens))
        elif found:
            last = found[-1]
            found[-1] = _Exchange((*last.messages, message), last.tokens + tokens)
    return found


async def _refilled(
    draft: _Draft, exchanges: Sequence[_Exchange], fits: Callable[[_Draft], Awaitable[bool]]
) -> _Draft:
    """Return the draft with the older exchanges for which a passage that went has made room."""
    for older in range(len(exchanges) - len(draft.exchanges) - 1, -1, -1):
        fuller = replace(draft, exchanges=exchanges[older:])
        if not await fits(fuller):
            break
        draft = fuller
    return draft


def _newest(exchanges: Sequence[_Exchange], limit: int) -> Sequence[_Exchange]:
    """Return the newest exchanges that fit together."""
    sums = list(accumulate(exchange.tokens for exchange in reversed(exchanges)))
    return exchanges[len(exchanges) - bisect_right(sums, limit) :]


async def _with_sources(draft: _Draft, limit: int) -> _Draft:
    """Return the draft with the most relevant passages that fit together; the best one is cut."""
    sums = list(accumulate(source.tokens for source in draft.sources))
    fitting = bisect_right(sums, limit)
    if fitting or draft.best is None:
        return replace(draft, sources=draft.sources[:fitting])
    sizes: dict[str, int] = {}

    async def fits(passage: Passage) -> bool:
        [sizes[passage["text"]]] = await draft.counter.count([framed(passage)])
        return sizes[passage["text"]] <= limit

    short = await shortened(draft.best, fits)
    if short is None:
        raise PromptTooLong(f"Not a word of a passage fits into {limit} tokens for sources.")
    return replace(draft, sources=draft.sources[:1]).with_best(short, sizes[short["text"]])

"""A prompt fits: nothing above its limit, nothing left out that fits, and it is told what was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import PromptTooLong
from core.turn import HistoryMessage, Part, Passage
from embeddings.minilm import MiniLM
from knowledge.assemble import edges
from nodes.budget import Fitted, PartLimits, Parts, fit, framed
from nodes.prompts import Prompts
from tests.nodes.passages import passage
from tests.tgi.scripted import serving
from tgi.client import Client, Timeouts
from tgi.embedded.bounds import Limits
from tgi.embedded.extractive import ExtractiveModel
from tgi.embedded.server import create_app
from tgi.profiles import TGI
from tgi.tokens import Message, ServerTokens

PER_MESSAGE = 3


class Words:
    """Counts words; a message takes three more."""

    name = "words"
    exact = True

    async def count(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    async def chat(self, messages: Sequence[Message], tools: Sequence[Message] = ()) -> int:
        texts = [str(one["content"]) for one in messages] + [str(tool) for tool in tools]
        return sum(await self.count(texts)) + PER_MESSAGE * len(messages)


def render(system: str, question: str) -> Any:
    def messages(
        history: Sequence[HistoryMessage], passages: Sequence[Passage]
    ) -> list[dict[str, str]]:
        sources = "\n".join(map(framed, passages))
        return [
            {"role": "system", "content": system},
            *({"role": said["role"], "content": said["content"]} for said in history),
            {"role": "user", "content": f"{sources}\n{question}"},
        ]

    return messages


def parts(
    history: Sequence[HistoryMessage] = (),
    passages: Sequence[Passage] = (),
    *,
    system: str = "Be brief.",
    question: str = "Why is that so?",
    order: Any = "best_first",
) -> Parts:
    return Parts(system, question, history, passages, render(system, question), order=order)


def talk(*words: int) -> list[HistoryMessage]:
    """Return a conversation whose messages have so many words, the user's first."""
    return [
        HistoryMessage(role="assistant" if n % 2 else "user", content="w " * size, seq=n + 1)
        for n, size in enumerate(words)
    ]


def found(*words: int) -> list[Passage]:
    """Return passages whose texts have so many words, in sentences of five."""
    texts = (" ".join(f"W{n}." if n % 5 == 4 else f"W{n}" for n in range(size)) for size in words)
    return [passage(number, text) for number, text in enumerate(texts, 1)]


FRAME = 8  # words that `framed` puts around a text of ours


async def test_what_fits_is_left_alone() -> None:
    """Then the record has each part's tokens, their limits, and nothing dropped."""
    history, passages = talk(5, 5), found(10, 10)
    fitted = await fit(parts(history, passages), PartLimits(context=2000, output=500), Words())
    assert (fitted.history, fitted.passages) == (history, passages)
    assert fitted.prompt_tokens == 2 + 10 + 2 * (10 + FRAME) + 4 + 4 * PER_MESSAGE
    assert fitted.record == {
        "tokenizer": "words",
        "exact": True,
        "context": 2000,
        "prompt_tokens": fitted.prompt_tokens,
        "parts": {
            "system": {"tokens": 2, "limit": 2000},
            "history": {"tokens": 10, "limit": 4000},
            "sources": {"tokens": 2 * (10 + FRAME), "limit": 4000},
            "question": {"tokens": 4, "limit": 1500},
            "frame": {"tokens": 4 * PER_MESSAGE, "limit": 1500},
            "output": {"tokens": 500, "limit": 500},
        },
        "dropped": {"history": [], "sources": [], "cut": None},
    }


async def test_the_oldest_exchanges_go_first_and_whole() -> None:
    """A question goes with its answer; a shorter older one does not come back in."""
    history = talk(1, 1, 50, 50, 10, 10)
    fitted = await fit(parts(history), PartLimits(context=4000, history=30), Words())
    assert fitted.history == history[4:]
    assert fitted.record["dropped"]["history"] == [1, 2, 3, 4]


async def test_an_answer_without_its_question_is_left_out() -> None:
    """Chat templates refuse a conversation that begins with the assistant."""
    history = talk(1, 2, 3, 4)[1:]
    fitted = await fit(parts(history), PartLimits(context=4000), Words())
    assert fitted.history == history[1:]
    assert fitted.record["dropped"]["history"] == [2]


async def test_the_least_relevant_passages_go_first() -> None:
    """In both orders of a prompt; what stays keeps its order."""
    passages = found(20, 20, 20, 20)
    limits = PartLimits(context=4000, sources=2 * (20 + FRAME))
    fitted = await fit(parts(passages=passages), limits, Words())
    assert fitted.passages == passages[:2]
    assert fitted.record["dropped"]["sources"] == [[1003], [1004]]
    placed = edges(passages)
    fitted = await fit(parts(passages=placed, order="edges"), limits, Words())
    assert fitted.passages == [passages[0], passages[1]]


async def test_the_best_passage_is_cut_at_a_sentence() -> None:
    """Alone above the limit, it keeps the whole sentences that fit; its chunks are cut as well."""
    best, second = found(100, 5)
    best["parts"] = [
        Part(chunk_id=1, ordinal=0, page=None, start=0, end=60),
        Part(chunk_id=2, ordinal=1, page=None, start=60, end=len(best["text"])),
        Part(chunk_id=3, ordinal=2, page=None, start=200, end=len(best["text"])),
    ]
    limits = PartLimits(context=4000, sources=FRAME + 22)
    [kept] = (fitted := await fit(parts(passages=[best, second]), limits, Words())).passages
    assert kept["text"] == " ".join(best["text"].split()[:20])
    assert [(part["start"], part["end"]) for part in kept["parts"]] == [
        (0, 60),
        (60, len(kept["text"])),
    ]
    assert fitted.record["dropped"] == {"history": [], "sources": [[1002]], "cut": 1001}


async def test_a_sentence_that_is_too_long_is_cut_at_a_word() -> None:
    """Rather a part of it than nothing."""
    long = passage(1, "word " * 100)
    limits = PartLimits(context=4000, sources=FRAME + 7)
    [kept] = (await fit(parts(passages=[long]), limits, Words())).passages
    assert kept["text"] == ("word " * 7).rstrip()


async def test_older_exchanges_go_before_passages_and_the_newest_one_last() -> None:
    """Where every part fits its limit, and all of them do not fit the model."""
    history, passages = talk(20, 20, 20, 20), found(20, 20)
    whole = 2 + 80 + 2 * (20 + FRAME) + 4 + 6 * PER_MESSAGE
    kept = []
    for room in (whole, whole - 1, whole - 50, whole - 80, whole - 121):
        fitted = await fit(parts(history, passages), PartLimits(room + 10, 10), Words())
        kept.append((len(fitted.history), len(fitted.passages)))
    assert kept == [(4, 2), (2, 2), (2, 1), (0, 2), (0, 1)]
    assert fitted.record["dropped"]["cut"] == 1001


@pytest.mark.parametrize(
    ("asked", "limits"),
    [
        (parts(system="word " * 11), PartLimits(context=4000, system=10)),
        (parts(question="word " * 100), PartLimits(context=100, output=50)),
        (parts(passages=found(5)), PartLimits(context=4000, sources=FRAME)),
        (parts(passages=found(5)), PartLimits(context=30, output=10)),
    ],
)
async def test_what_cannot_fit_is_refused(asked: Parts, limits: PartLimits) -> None:
    """The instructions, the question, and the best passage have to stay."""
    with pytest.raises(PromptTooLong):
        await fit(asked, limits, Words())


def test_limits_without_room_are_refused() -> None:
    """An answer as long as the model's context leaves nothing to ask."""
    with pytest.raises(ValueError, match="room"):
        PartLimits(context=512, output=512)


SIZES = st.lists(st.integers(0, 60), max_size=8)


class Heavy(Words):
    """Counts a prompt as more than its parts, as a chat template with a long preamble does."""

    async def chat(self, messages: Sequence[Message], tools: Sequence[Message] = ()) -> int:
        return 20 + 2 * await super().chat(messages, tools)


@given(
    said=SIZES,
    seen=SIZES,
    limits=st.builds(
        PartLimits,
        context=st.integers(60, 600),
        output=st.integers(1, 50),
        history=st.integers(0, 200),
        sources=st.integers(FRAME + 1, 300),
    ),
    order=st.sampled_from(["best_first", "edges"]),
    counter=st.sampled_from([Words(), Heavy()]),
)
@settings(max_examples=100, deadline=None)
async def test_whatever_is_asked(
    said: list[int], seen: list[int], limits: PartLimits, order: Any, counter: Words
) -> None:
    """Nothing is above its limit, the order stays, the best stays, and nothing goes needlessly."""
    history, ranked = talk(*said), found(*seen)
    passages = edges(ranked) if order == "edges" else ranked
    asked = parts(history, passages, order=order)
    try:
        fitted = await fit(asked, limits, counter)
    except PromptTooLong:
        assert await whole(counter, asked, [], ranked[:1]) > limits.room or seen
        return
    assert fitted.prompt_tokens <= limits.room
    assert fitted.prompt_tokens == await whole(counter, asked, fitted.history, fitted.passages)
    assert sum(await counter.count([one["content"] for one in fitted.history])) <= limits.history
    assert sum(await counter.count(list(map(framed, fitted.passages)))) <= limits.sources
    assert fitted.history == history[len(history) - len(fitted.history) :]
    assert not fitted.history or fitted.history[0]["role"] == "user"
    kept = [one["chunk_id"] for one in fitted.passages]
    assert kept == [one["chunk_id"] for one in passages if one["chunk_id"] in kept]
    assert sorted(kept) == sorted(one["chunk_id"] for one in ranked[: len(kept)])
    assert bool(kept) == bool(ranked)
    await nothing_more_fits(fitted, asked, ranked, limits, counter)


async def nothing_more_fits(
    fitted: Fitted, asked: Parts, ranked: list[Passage], limits: PartLimits, counter: Words
) -> None:
    """Assert that neither another exchange nor another passage had room."""
    if fitted.record["dropped"]["cut"] is not None:
        return  # a sentence's end leaves some
    history = list(asked.history)
    gone = range(len(history) - len(fitted.history) - 1, -1, -1)
    if (more := next((n for n in gone if _asks(history[n])), None)) is not None:
        sizes = await counter.count([one["content"] for one in history[more:]])
        fits = await whole(counter, asked, history[more:], fitted.passages) <= limits.room
        assert sum(sizes) > limits.history or not fits
    if len(fitted.passages) < len(ranked):
        again = ranked[: len(fitted.passages) + 1]
        sizes = await counter.count(list(map(framed, again)))
        fits = await whole(counter, asked, fitted.history, again) <= limits.room
        assert sum(sizes) > limits.sources or not fits


def _asks(message: HistoryMessage) -> bool:
    return message["role"] == "user"


async def whole(
    counter: Words, asked: Parts, history: Sequence[HistoryMessage], passages: Sequence[Passage]
) -> int:
    return await counter.chat(asked.render(history, passages), asked.tools)


async def test_a_fitted_prompt_is_taken_by_the_server(embedder: MiniLM) -> None:
    """Counted by the server itself, in our own prompt; without the cut it is refused."""
    prompt = Prompts.load()["answer"]
    history = talk(200, 100, 100, 100)
    passages = found(150, 150, 150, 150)

    def messages(said: Sequence[HistoryMessage], seen: Sequence[Passage]) -> list[dict[str, Any]]:
        record = prompt.render(said, instructions="", mark="7f3a", passages=seen, question="Why?")
        return [{"role": m["role"], "content": m["content"]} for m in record["messages"]]

    asked = Parts(prompt.rules, "Why?", history, passages, messages)
    small = create_app(
        ExtractiveModel(embedder), limits=Limits(max_input_tokens=899, max_total_tokens=900)
    )
    async with serving(small) as url, httpx.AsyncClient() as http:
        client = Client(http, url, api_key=None, timeouts=Timeouts())
        counter = ServerTokens(client.post, TGI, "tgi")
        fitted = await fit(asked, PartLimits(context=900, output=100), counter)
        body = {"messages": messages(fitted.history, fitted.passages), "max_tokens": 100}
        answer = await client.ask(body)
        assert answer["usage"]["prompt_tokens"] == fitted.prompt_tokens <= 800
        assert fitted.record["exact"]
        too_long = {"messages": messages(history, passages), "max_tokens": 100}
        refusal = await http.post(f"{url}/v1/chat/completions", json=too_long)
        assert refusal.status_code == 422

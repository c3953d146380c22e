"""Tokens are counted as the server counts them, or estimated, and it is said which."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from core.errors import ModelError, ModelTimeout, ModelUnavailable, SettingsInvalid
from embeddings.minilm import MiniLM
from tests.tgi.faulty import Behaviour, Exchange, faulty
from tests.tgi.scripted import serving
from tgi.client import Client, Timeouts
from tgi.embedded.extractive import ExtractiveModel
from tgi.embedded.server import create_app
from tgi.offline import EmbedderTokens, EstimatedTokens, FileTokens
from tgi.profiles import LLAMACPP, OPENAI, TGI, VLLM
from tgi.tokens import Message, Post, Remembered, ServerTokens, Tally

TEXTS = ["", "Why?", "Żółw \U0001f422 naïve  x\n\n", "a" * 300, "water is wet. " * 50]
MESSAGES: list[dict[str, Any]] = [
    {"role": "system", "content": "Answer from the sources."},
    {"role": "user", "content": "What is\nthe weather in Łódź?"},
    {
        "role": "assistant",
        "tool_calls": [
            {
                "id": "1",
                "type": "function",
                "function": {"name": "weather", "arguments": '{"city":"Łódź"}'},
            }
        ],
    },
    {"role": "tool", "tool_call_id": "1", "content": "Rain."},
]
TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "Tell the weather.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]


@asynccontextmanager
async def client_of(url: str) -> AsyncIterator[Client]:
    async with httpx.AsyncClient(timeout=None) as http:
        yield Client(http, url, api_key=None, timeouts=Timeouts())


@pytest.fixture
async def client(embedder: MiniLM) -> AsyncIterator[Client]:
    """A client of the embedded server, as it ships."""
    async with serving(create_app(ExtractiveModel(embedder))) as url, client_of(url) as opened:
        yield opened


async def test_a_prompt_is_counted_as_the_server_bills_it(client: Client, embedder: MiniLM) -> None:
    """The count of a chat, with and without tools, is the one in the answer's usage."""
    counter = ServerTokens(client.post, TGI, "tgi", seconds=60.0)
    for tools in ([], TOOLS):
        asked = {"model": "tgi", "messages": MESSAGES, "max_tokens": 4}
        answer = await client.ask(asked | ({"tools": tools} if tools else {}))
        billed = answer["usage"]["prompt_tokens"]
        assert await counter.chat(MESSAGES, tools) == billed
        assert await EmbedderTokens(embedder).chat(MESSAGES, tools) == billed


async def test_texts_are_counted_as_the_server_does(client: Client, embedder: MiniLM) -> None:
    """Each text by itself, also the empty one; here and over HTTP alike."""
    counts = await ServerTokens(client.post, TGI, "tgi", seconds=60.0).count(TEXTS)
    assert counts == await EmbedderTokens(embedder).count(TEXTS)
    assert counts[0] == 0
    assert counts[4] == 200


class Scripted:
    """A server of another kind: answers by path, and remembers what it was asked."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, Any]] = []

    async def __call__(self, exchange: Exchange) -> None:
        path = exchange.path
        self.asked.append((path, exchange.body))
        if path in self.answers:
            await exchange.answer(200, orjson.dumps(self.answers[path]))
        else:
            await exchange.answer(404, b"{}")


async def test_special_tokens_of_tgi_are_no_part_of_a_text() -> None:
    """TGI's route adds them unasked; they stand nowhere in the text."""
    bos = {"id": 1, "text": "", "start": 0, "stop": 0}
    word = {"id": 2, "text": "Why", "start": 0, "stop": 3}
    server = Scripted({"/tokenize": [bos, word]})
    async with faulty(server) as url, client_of(url) as client:
        assert await ServerTokens(client.post, TGI, "tgi", seconds=60.0).count(["Why"]) == [1]


async def test_vllm_is_asked_in_its_own_words() -> None:
    """One route for texts and chats; the count stands in the answer."""
    server = Scripted({"/tokenize": {"count": 7, "max_model_len": 4096, "tokens": [1] * 7}})
    async with faulty(server) as url, client_of(url) as client:
        counter = ServerTokens(client.post, VLLM, "llama", seconds=60.0)
        assert await counter.count(["Why?"]) == [7]
        assert await counter.chat(MESSAGES, TOOLS) == 7
    text = {"model": "llama", "prompt": "Why?", "add_special_tokens": False}
    chat = {"model": "llama", "messages": MESSAGES, "tools": TOOLS}
    assert server.asked == [("/tokenize", text), ("/tokenize", chat)]


async def test_llamacpp_is_asked_in_its_own_words() -> None:
    """A chat is put into the template first; only then are there special tokens."""
    server = Scripted({"/tokenize": {"tokens": [1, 2]}, "/apply-template": {"prompt": "<s>Why"}})
    async with faulty(server) as url, client_of(url) as client:
        counter = ServerTokens(client.post, LLAMACPP, "x", seconds=60.0)
        assert await counter.count(["Why?"]) == [2]
        assert await counter.chat(MESSAGES) == 2
    assert server.asked == [
        ("/tokenize", {"content": "Why?", "add_special": False}),
        ("/apply-template", {"model": "x", "messages": MESSAGES}),
        ("/tokenize", {"content": "<s>Why", "add_special": True}),
    ]


def test_openai_has_no_tokenizer() -> None:
    """Its API cannot be asked; the others can."""
    assert [ServerTokens.has_one(profile) for profile in (TGI, VLLM, LLAMACPP, OPENAI)] == [
        True,
        True,
        True,
        False,
    ]


async def _nothing(exchange: Exchange) -> None:
    await exchange.gone()


async def _broken(exchange: Exchange) -> None:
    await exchange.answer(500, b'{"error":"no"}')


async def _strange(exchange: Exchange) -> None:
    await exchange.answer(200, b'{"tokens":"many","count":"many"}')


async def _missing(exchange: Exchange) -> None:
    await exchange.answer(404, b'{"error":"No fast tokenizer available"}')


@pytest.mark.parametrize("profile", [TGI, VLLM, LLAMACPP], ids=lambda profile: profile.name)
@pytest.mark.parametrize(
    ("behave", "error"),
    [
        (_nothing, ModelTimeout),
        (_broken, ModelUnavailable),
        (_strange, ModelUnavailable),
        (_missing, ModelUnavailable),
    ],
)
async def test_a_server_that_cannot_count(
    behave: Behaviour, error: type[ModelError], profile: Any, embedder: MiniLM
) -> None:
    """It fails as the chat model would; then an estimate stands in, and says so."""
    estimate = EstimatedTokens(embedder)
    seconds = 0.05 if error is ModelTimeout else 60.0  # no other error is a matter of time
    async with faulty(behave) as url, client_of(url) as client:
        with pytest.raises(error) as caught:
            await ServerTokens(client.post, profile, "x", seconds=seconds).count(TEXTS)
        assert type(caught.value) is error
        tally = Tally(ServerTokens(client.post, profile, "x", seconds=seconds), estimate)
        assert await tally.chat(MESSAGES) == await estimate.chat(MESSAGES)
        assert await tally.count(TEXTS) == await estimate.count(TEXTS)
    assert (tally.name, tally.exact) == (f"estimate ({error.code})", False)


async def test_a_server_that_cannot_count_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    """The next prompt does not wait for it again, and the log says so once."""
    server = Scripted({})
    async with faulty(server) as url, client_of(url) as client:
        counter = ServerTokens(client.post, TGI, "x", seconds=60.0)
        for _ in range(3):
            with pytest.raises(ModelUnavailable):
                await counter.count(["a"])
    assert len(server.asked) == 1
    assert [record.message for record in caplog.records if record.name == "tgi.tokens"] == [
        "the tgi server cannot count tokens: model_unavailable"
    ]


async def test_counts_are_remembered_within_bounds() -> None:
    """The same text is not counted twice until it is forgotten; the last used stays."""
    asked: list[str] = []

    class Counting:
        name, exact = "counting", True

        async def count(self, texts: Sequence[str]) -> list[int]:
            asked.extend(texts)
            return [len(text) for text in texts]

        async def chat(self, messages: Sequence[Message], tools: Sequence[Message] = ()) -> int:
            asked.append("chat")
            return len(messages) + len(tools)

    counter = Remembered(Counting(), entries=2)
    assert await counter.count(["a", "bb", "a"]) == [1, 2, 1]
    assert asked == ["a", "bb"]
    assert await counter.count(["ccc"]) == [3]  # forgets "bb", which was used before "a"
    assert await counter.count(["a"]) == [1]
    assert asked == ["a", "bb", "ccc"]
    assert await counter.count(["bb"]) == [2]
    assert [await counter.chat(MESSAGES, tools) for tools in ([], [], TOOLS)] == [4, 4, 5]
    assert asked == ["a", "bb", "ccc", "bb", "chat", "chat"]


async def test_what_failed_is_not_remembered() -> None:
    """After an error the same text is counted anew."""
    calls = 0

    async def post(path: str, payload: dict[str, Any], *, seconds: float) -> Any:
        nonlocal calls
        calls += 1
        raise ModelUnavailable

    asked: Post = post
    counter = Remembered(ServerTokens(asked, TGI, "x"))
    with pytest.raises(ModelUnavailable):
        await counter.count(["a"])
    with pytest.raises(ModelUnavailable):
        await counter.count(["a"])
    assert calls == 1  # the second time the server was left alone, and nothing was made up


async def test_texts_are_asked_about_together() -> None:
    """A prompt of many texts takes about as long as one, but no server is flooded."""
    busy = most = 0
    go = asyncio.Event()

    async def post(path: str, payload: dict[str, Any], *, seconds: float) -> Any:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        if most == 8:
            go.set()
        await go.wait()
        busy -= 1
        return {"count": 1}

    assert await ServerTokens(post, VLLM, "x").count([str(n) for n in range(20)]) == [1] * 20
    assert most == 8


# Tokens as cl100k_base counts them.
COUNTED = {
    "Stop the server, then run the restore command. It takes about a minute.": 16,
    "Der Vertrag verlängert sich um zwölf Monate, wenn er nicht gekündigt wird.": 23,
    "如果合同在到期前三个月内未以书面形式终止，则合同自动延长十二个月。": 33,
    "यदि अनुबंध समाप्ति से पहले समाप्त नहीं किया जाता है": 50,
    "\U0001f600\U0001f389\U0001f680" * 5: 40,
    "        x\n                y\n" * 10: 60,
    "aGVsbG8gd29ybGQgdGhpcyBpcyBhIGxvbmcgc3RyaW5n" * 5: 151,
}


@pytest.mark.parametrize("text", COUNTED)
async def test_the_estimate_is_not_below_a_real_tokenizer(text: str, embedder: MiniLM) -> None:
    """Prose, other scripts, emoji, white space and unknown words."""
    [estimate] = await EstimatedTokens(embedder).count([text])
    assert COUNTED[text] <= estimate <= 3 * COUNTED[text]


async def test_a_tokenizer_from_a_file(tmp_path: Path) -> None:
    """Texts are counted as the file says, whatever it says about cutting and filling up."""
    tokenizer = Tokenizer(WordLevel({"[UNK]": 0, "water": 1, "wet": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.enable_truncation(2)
    tokenizer.enable_padding(length=16)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    counter = FileTokens.load(tmp_path / "tokenizer.json")
    assert await counter.count(["", "water is wet", "\ud800"]) == [0, 3, 1]
    assert await counter.chat([{"role": "user", "content": "water is wet"}]) == 3 + 32 + 8
    with pytest.raises(SettingsInvalid, match=r"none\.json is no tokenizer"):
        FileTokens.load(tmp_path / "none.json")

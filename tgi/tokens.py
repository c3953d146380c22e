"""How many tokens a text is for the model that will read it: asked where that is known.

Counts decide what a prompt leaves out, so each says whether it is the server's own or a guess.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import orjson

from core.breaker import Breaker
from core.errors import ModelError, ModelTimeout, ModelUnavailable
from tgi.profiles import Profile

Message = Mapping[str, Any]
"""A message or a tool as it goes over the wire: OpenAI's shape."""

T = TypeVar("T")

SECONDS = 1.0  # for all texts of a prompt; who waits longer for a count had better guess
AT_ONCE = 8  # texts asked about at the same time
REMEMBERED = 4096  # texts whose counts are kept: about 150 bytes each
log = logging.getLogger(__name__)


class TokenCounter(Protocol):
    """Counts tokens. Raises ModelError when it cannot."""

    @property
    def name(self) -> str:
        """Who counts; stands in the turn log."""

    @property
    def exact(self) -> bool:
        """Whether whole prompts are counted as the server itself counts them."""

    async def count(self, texts: Sequence[str]) -> list[int]:
        """Return the tokens of each text by itself, without special tokens."""

    async def chat(self, messages: Sequence[Message], tools: Sequence[Message] = ()) -> int:
        """Return the tokens of a whole prompt, after the chat template."""


class Post(Protocol):
    """Sends JSON to a path of the model server, as `tgi.client.Client.post` does."""

    async def __call__(self, path: str, payload: dict[str, Any], *, seconds: float) -> Any:
        """Return the JSON of the answer; None when there is no such path. Raises ModelError."""


class ServerTokens:
    """The server's own tokenizer, of TGI, vLLM or llama.cpp; OpenAI's API has none.

    Raises ModelTimeout after `seconds`, and ModelUnavailable when the server has no tokenizer
    or an answer is none. After that it is left alone for a while, and fails at once.
    """

    exact = True

    def __init__(
        self, post: Post, profile: Profile, model_name: str, *, seconds: float = SECONDS
    ) -> None:
        """model_name: as the server knows it; the tokenizer may be another for another model."""
        self.name = f"{profile.name} server"
        self._post = post
        self._profile = profile
        self._model_name = model_name
        self._seconds = seconds
        self._breaker = Breaker(failures=1)
        self._slots = asyncio.Semaphore(AT_ONCE)

    @staticmethod
    def has_one(profile: Profile) -> bool:
        """Return whether servers of this kind can be asked."""
        return profile.name in {"tgi", "vllm", "llamacpp"}

    async def count(self, texts: Sequence[str]) -> list[int]:
        """Return the tokens of each text."""
        return await self._guarded(lambda: self._texts(texts))

    async def chat(self, messages: Sequence[Message], tools: Sequence[Message] = ()) -> int:
        """Return the tokens of a whole prompt."""
        asked: dict[str, Any] = {"model": self._model_name, "messages": list(messages)}
        if tools:
            asked["tools"] = list(tools)
            if self._profile.tool_prompt and messages[-1]["role"] == "tool":
                asked["tool_prompt"] = " "  # as the chat model sends it
        return await self._guarded(lambda: self._chat(asked))

    async def _guarded(self, ask: Callable[[], Awaitable[T]]) -> T:
        if not self._breaker.allows():
            raise ModelUnavailable("The tokenizer of the model server failed a moment ago.")
        try:
            async with asyncio.timeout(self._seconds):
                counted = await ask()
        except TimeoutError as error:
            fault: ModelError = ModelTimeout("The model server did not count in time.")
            self._failed(fault)
            raise fault from error
        except ModelError as error:
            self._failed(error)
            raise
        self._breaker.note(failed=False)
        return counted

    def _failed(self, error: ModelError) -> None:
        self._breaker.note(failed=True)
        log.warning("the %s cannot count tokens: %s", self.name, error.code)

    async def _texts(self, texts: Sequence[str]) -> list[int]:
        try:
            async with asyncio.TaskGroup() as group:
                counts = [group.create_task(self._text(text)) for text in texts]
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed  # the others were cancelled, or say the same
        return [count.result() for count in counts]

    async def _text(self, text: str) -> int:
        if not text:
            return 0
        if self._profile.name == "tgi":
            tokens = _listed(await self._ask("/tokenize", {"inputs": text}))
            # Special tokens come along unasked, and stand nowhere in the text.
            return sum(1 for token in tokens if token["stop"] > 0)
        if self._profile.name == "vllm":
            asked = {"model": self._model_name, "prompt": text, "add_special_tokens": False}
            return _number(await self._ask("/tokenize", asked))
        asked = {"content": text, "add_special": False}
        return len(_listed(_field(await self._ask("/tokenize", asked), "tokens")))

    async def _chat(self, asked: dict[str, Any]) -> int:
        if self._profile.name == "tgi":
            answer = await self._ask("/chat_tokenize", asked)
            return len(_listed(_field(answer, "tokenize_response")))
        if self._profile.name == "vllm":
            return _number(await self._ask("/tokenize", asked))
        prompt = _field(await self._ask("/apply-template", asked), "prompt")
        tokens = await self._ask("/tokenize", {"content": prompt, "add_special": True})
        return len(_listed(_field(tokens, "tokens")))

    async def _ask(self, path: str, payload: dict[str, Any]) -> Any:
        async with self._slots:
            answer = await self._post(path, payload, seconds=self._seconds)
        if answer is None:
            raise ModelUnavailable("The model server has no tokenizer to ask.")
        return answer


class Remembered:
    """A counter that does not count the same text twice; the texts themselves are not kept."""

    def __init__(self, counter: TokenCounter, *, entries: int = REMEMBERED) -> None:
        """entries: texts remembered at most; the one not used for longest is forgotten first."""
        self._counter = counter
        self._entries = entries
        self._known: OrderedDict[bytes, int] = OrderedDict()

    @property
    def name(self) -> str:
        """Who counts."""
        return self._counter.name

    @property
    def exact(self) -> bool:
        """Whether it counts as the server does."""
        return self._counter.exact

    async def count(self, texts: Sequence[str]) -> list[int]:
        """Return the tokens of each text."""
        keys = [_key(b"text", text.encode("utf-8", "surrogatepass")) for text in texts]
        known = {key: self._known[key] for key in keys if key in self._known}
        wanted = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if wanted:
            counts = await self._counter.count(list(wanted.values()))
            known |= zip(wanted, counts, strict=True)
        for key in keys:
            self._keep(key, known[key])
        return [known[key] for key in keys]

    async def chat(self, messages: Sequence[Message], tools: Sequence[Message] = ()) -> int:
        """Return the tokens of a whole prompt."""
        key = _key(b"chat", orjson.dumps([list(messages), list(tools)]))
        count = self._known.get(key)
        if count is None:
            count = await self._counter.chat(messages, tools)
        self._keep(key, count)
        return count

    def _keep(self, key: bytes, count: int) -> None:
        self._known[key] = count
        self._known.move_to_end(key)
        if len(self._known) > self._entries:
            self._known.popitem(last=False)


class Tally:
    """Counts for one prompt: as the first counter says, or the other one once that has failed."""

    def __init__(self, first: TokenCounter, otherwise: TokenCounter) -> None:
        self._first = first
        self._otherwise = otherwise
        self._fault = ""  # code of the error of the first one

    @property
    def name(self) -> str:
        """Who counted; where the first one could not, why."""
        return f"{self._otherwise.name} ({self._fault})" if self._fault else self._first.name

    @property
    def exact(self) -> bool:
        """Whether everything was counted as the server does."""
        return self._first.exact and not self._fault

    async def count(self, texts: Sequence[str]) -> list[int]:
        """Return the tokens of each text."""
        if not self._fault:
            try:
                return await self._first.count(texts)
            except ModelError as error:
                self._fault = error.code
        return await self._otherwise.count(texts)

    async def chat(self, messages: Sequence[Message], tools: Sequence[Message] = ()) -> int:
        """Return the tokens of a whole prompt."""
        if not self._fault:
            try:
                return await self._first.chat(messages, tools)
            except ModelError as error:
                self._fault = error.code
        return await self._otherwise.chat(messages, tools)


@dataclass(frozen=True, slots=True)
class Counters:
    """How the tokens of one model are counted. Lives as long as the model."""

    first: TokenCounter
    otherwise: TokenCounter  # when the first one fails; has to work always

    def tally(self) -> Tally:
        """Return a counter for one prompt."""
        return Tally(self.first, self.otherwise)


def _key(kind: bytes, content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16, person=kind).digest()


def _field(answer: Any, name: str) -> Any:
    if not isinstance(answer, dict) or name not in answer:
        raise ModelUnavailable("The model server sent something else than tokens.")
    return answer[name]


def _listed(tokens: Any) -> list[Any]:
    if not isinstance(tokens, list):
        raise ModelUnavailable("The model server sent something else than tokens.")
    return tokens


def _number(answer: Any) -> int:
    count = _field(answer, "count")
    if not isinstance(count, int):
        raise ModelUnavailable("The model server sent something else than tokens.")
    return count

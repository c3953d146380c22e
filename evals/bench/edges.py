"""The outer edges of both benchmarked servers, scripted alike: model, retrieval, checks.

So what differs between the two is only what carries a turn: runs, events, checkpoints, HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import numpy as np
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from numpy.typing import NDArray

from core.metrics import Metrics
from core.turn import Intent, ModelRecord, Passage
from db.pool import Database
from nodes.alike import Alike
from nodes.context import Services
from nodes.intents import Guess
from nodes.prompts import Prompts
from nodes.replies import Replies
from safety.gate import StreamGate
from safety.guard import About, Verdict
from safety.leaving import Leaving
from safety.policy import Policies
from safety.verdict import Direction
from tgi.models import Models
from tools.policy import Policy
from tools.registry import Registry
from tools.tool import Tool

TOKENS = 64  # of one answer
WORDS = [f"word{n} " for n in range(TOKENS - 4)] + ["and", " done", " [1]", "."]
PASSAGES = [
    Passage(
        chunk_id=n,
        document_id=f"00000000-0000-7000-8000-{n:012d}",
        uri=f"file:///bench/{n}.md",
        title=f"Document {n}",
        section="",
        page=None,
        ordinal=0,
        # It says what the scripted model says, or the model's answer would have no support.
        text=" ".join(f"fact{n}-{i}" for i in range(90)) + ". " + "".join(WORDS[:-2]) + ".",
        tokens=180,
        score=1.0 / n,
        scores={"vector": 0.5, "keyword": 2.0},
    )
    for n in range(1, 6)
]
USAGE = UsageMetadata(input_tokens=1200, output_tokens=TOKENS, total_tokens=1200 + TOKENS)


class ScriptedModel(BaseChatModel):
    """Streams the same 64 tokens, giving way to other work after each."""

    @property
    def _llm_type(self) -> str:
        return "scripted"

    async def info(self) -> ModelRecord:
        """Return which model this is."""
        return ModelRecord(name="scripted", version="1", server="in process")

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for word in WORDS:
            await asyncio.sleep(0)
            chunk = ChatGenerationChunk(message=AIMessageChunk(content=word))
            if run_manager is not None:
                await run_manager.on_llm_new_token(word, chunk=chunk)
            yield chunk
        end = AIMessageChunk(
            content="",
            usage_metadata=USAGE,
            response_metadata={"finish_reason": "stop"},
        )
        yield ChatGenerationChunk(message=end)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("".join(WORDS)))])


class ScriptedEmbedder:
    """Gives every text the same vector and counts words."""

    name = "scripted"
    dimensions = 384

    async def query(self, text: str) -> NDArray[np.float32]:
        """Return a unit vector."""
        vector = np.zeros(self.dimensions, dtype=np.float32)
        vector[0] = 1.0
        return vector

    async def passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return unit vectors."""
        return np.tile(await self.query(""), (len(texts), 1))

    def count_tokens(self, text: str) -> int:
        """Return the number of words."""
        return len(text.split())

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Return the whole text as one token."""
        return [(0, len(text))]


async def scripted_search(
    database: Any, query: str, *, tenant_id: str, limit: int, filter: Any
) -> list[Passage]:
    """Return the same five passages."""
    return PASSAGES[:limit]


class ScriptedGuard:
    """Finds nothing."""

    policies = Policies.load()
    _metrics = Metrics()  # nobody reads them

    async def check_input(self, text: str, about: About) -> Verdict:
        """Pass."""
        return Verdict(text)

    def leaving(self, about: About, *, restore: Any = None) -> Leaving:
        """Let everything leave."""
        return Leaving(StreamGate([], lambda check, hit: None), self._metrics)

    async def check(self, direction: Direction, text: str, about: About) -> Verdict:
        """Pass."""
        return Verdict(text)


class ScriptedIntents:
    """Takes everything for a question."""

    async def classify(self, text: str, vector: NDArray[np.float32], *, tenant_id: str) -> Guess:
        """Return "question"."""
        return Guess(Intent.KNOWLEDGE, 1.0, 1.0)


def services(
    database: Database,
    model: ScriptedModel | None = None,
    tools: Iterable[Tool] = (),
    *,
    intents: ScriptedIntents | None = None,
    policy: Policy | None = None,
) -> Services:
    """Return the services of a turn: a real database, and the edges above where none is given."""
    scripted: dict[str, Any] = {
        "embedder": ScriptedEmbedder(),
        "search": scripted_search,
        "models": Models.of(model or ScriptedModel()),
        "guard": ScriptedGuard(),
        "intents": intents or ScriptedIntents(),
    }
    return Services(
        database=database,
        prompts=Prompts.load(),
        replies=Replies.load(),
        alike=Alike.load(),
        metrics=Metrics(),
        tools=Registry(tools),
        policy=policy or Policy.load(),
        **scripted,
    )

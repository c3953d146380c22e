"""Ties of intents, broken by a model over HTTP that is held to two words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.settings import ModelSettings
from core.turn import Intent
from embeddings.minilm import MiniLM
from evals.bench import edges
from nodes import tie
from nodes.context import Context, Limits, Services
from nodes.intents import Guess
from nodes.prompts import Prompts
from tests.tgi.faulty import Behaviour, Exchange, faulty
from tgi.models import connect

TIED = Guess(Intent.KNOWLEDGE, 0.42, 0.5, Intent.ACTION, 0.4)
RULE: dict[str, Any] = {"tasks": {"classify": {}}}


@asynccontextmanager
async def asking(
    tmp_path: Path, embedder: MiniLM, behave: Behaviour, **said: Any
) -> AsyncIterator[Context]:
    nothing: Any = None
    async with faulty(behave) as url:
        path = tmp_path / "models.yaml"
        path.write_text(yaml.safe_dump({"models": {"only": {"endpoints": [url]}}} | said))
        settings = ModelSettings(_env_file=None, file=path)
        async with connect(settings, url="", embedder=embedder, environment={}) as models:
            used: dict[str, Any] = dict.fromkeys(Services.__dataclass_fields__, nothing)
            used["guard"] = edges.ScriptedGuard()
            used |= {"models": models, "prompts": Prompts.load()}
            yield Context(
                tenant_id="acme", user_id="", thread_id="", run_id="", services=Services(**used),
                limits=Limits(), stages=nothing, emit=nothing,
            )  # fmt: skip


class Choosing:
    """A server that says one word and remembers what it was asked."""

    def __init__(self, word: str, status: int = 200) -> None:
        self.word = word
        self.status = status
        self.asked: list[Any] = []

    async def __call__(self, exchange: Exchange) -> None:
        """Answer."""
        self.asked.append(exchange.body)
        body = f'{{"generated_text": "{self.word}"}}' if self.status == 200 else "{}"
        await exchange.answer(self.status, body.encode())


async def test_the_model_decides(tmp_path: Path, embedder: MiniLM) -> None:
    """It is offered the two intents and nothing else; the call is told."""
    server = Choosing("action")
    async with asking(tmp_path, embedder, server, **RULE) as context:
        guess, call = await tie.broken("Book it", TIED, context)
    assert (guess.intent, guess.second) == (Intent.ACTION, Intent.KNOWLEDGE)
    assert call is not None
    assert (call["task"], call["model"], call["error"]) == ("classify", "only", "")
    [asked] = server.asked
    grammar = asked["parameters"]["grammar"]
    assert (grammar["type"], grammar["value"]) == ("regex", "knowledge_question|action")
    assert "Message: Book it" in asked["inputs"]
    assert "goodbye" not in asked["inputs"]


@pytest.mark.parametrize("server", [Choosing("", 500), Choosing("sing")])
async def test_a_model_that_fails_changes_nothing(
    tmp_path: Path, embedder: MiniLM, server: Choosing
) -> None:
    """Nor one that says something else; the error is told."""
    async with asking(tmp_path, embedder, server, **RULE) as context:
        guess, call = await tie.broken("Book it", TIED, context)
    assert guess == TIED
    assert call is not None
    assert call["error"]


@pytest.mark.parametrize(
    ("text", "guess", "said"),
    [
        ("Book it", TIED, {}),
        ("Book it", TIED._replace(second_probability=0.1), RULE),
        ("Book it", Guess(Intent.ACTION, 1.0, 1.0), RULE),
        ("Book it" * 200, TIED, RULE),
    ],
)
async def test_nobody_is_asked(
    tmp_path: Path, embedder: MiniLM, text: str, guess: Guess, said: dict[str, Any]
) -> None:
    """Without a rule for it, without a tie, without a second intent, about a long message."""
    server = Choosing("action")
    async with asking(tmp_path, embedder, server, **said) as context:
        assert await tie.broken(text, guess, context) == (guess, None)
    assert server.asked == []

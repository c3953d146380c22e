"""The unmodified text-generation client on the embedded server."""

from __future__ import annotations

import pytest
from text_generation import AsyncClient  # type: ignore[import-untyped]
from text_generation.errors import (  # type: ignore[import-untyped]
    OverloadedError,
    ValidationError,
)
from text_generation.types import Grammar, GrammarType  # type: ignore[import-untyped]

from tests.tgi.bodies import SCHEMA
from tests.tgi.scripted import ScriptedModel, serving
from tgi.embedded.bounds import Limits
from tgi.embedded.server import create_app

# text-generation 0.7 is from March 2024.
pytestmark = pytest.mark.filterwarnings("ignore::pydantic.PydanticDeprecatedSince20")

SAID = " and so it goes on."


async def test_generate(url: str) -> None:
    """A whole answer has its text, its tokens and its finish reason."""
    answer = await AsyncClient(url).generate("Well,", decoder_input_details=True, seed=3)
    assert answer.generated_text == SAID
    said = "".join(token.text for token in answer.details.tokens if not token.special)
    assert said == SAID
    assert answer.details.finish_reason == "eos_token"
    assert [token.text for token in answer.details.prefill] == ["Well", ","]
    assert answer.details.seed == 3


async def test_generate_stream(url: str) -> None:
    """A stream's tokens join to the text that its last event has."""
    sent = [event async for event in AsyncClient(url).generate_stream("Well,")]
    assert "".join(event.token.text for event in sent if not event.token.special) == SAID
    assert sent[-1].generated_text == SAID
    assert sent[-1].details.generated_tokens == len(sent)


async def test_best_of(url: str) -> None:
    """best_of gives the other sequences too."""
    answer = await AsyncClient(url).generate("Well,", best_of=2, do_sample=True)
    (other,) = answer.details.best_of_sequences
    assert other.generated_text == SAID


async def test_limits_end_an_answer(url: str) -> None:
    """A token limit and a stop sequence end the text with their own reasons."""
    client = AsyncClient(url)
    short = await client.generate("Well,", max_new_tokens=2)
    assert (short.generated_text, short.details.finish_reason) == (" and so", "length")
    stopped = await client.generate("Well,", stop_sequences=["goes"])
    assert (stopped.generated_text, stopped.details.finish_reason) == (
        " and so it goes",
        "stop_sequence",
    )


async def test_grammar(url: str, model: ScriptedModel) -> None:
    """A JSON schema reaches the model."""
    grammar = Grammar(type=GrammarType.Json, value=SCHEMA)
    answer = await AsyncClient(url).generate("Well,", grammar=grammar)
    assert answer.generated_text == '{"city":"Warsaw"}'
    assert model.asked[-1]["grammar"] == {"type": "json", "value": SCHEMA}


async def test_errors_parse(url: str) -> None:
    """The server's refusals are the client's own errors, streamed or not."""
    client = AsyncClient(url)
    with pytest.raises(ValidationError, match="max_new_tokens"):
        await client.generate("Well,", max_new_tokens=0)
    with pytest.raises(ValidationError, match="max_new_tokens"):
        async for _ in client.generate_stream("Well,", max_new_tokens=0):
            pass


async def test_overload_parses() -> None:
    """A server without a free slot is OverloadedError."""
    app = create_app(ScriptedModel(), limits=Limits(max_concurrent_requests=0))
    async with serving(app) as url:
        with pytest.raises(OverloadedError):
            await AsyncClient(url).generate("Well,")

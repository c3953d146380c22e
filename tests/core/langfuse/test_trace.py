from __future__ import annotations

import pytest
from langfuse import Langfuse

from core.turn import TurnState
from tests.core.langfuse.opened import opened
from tests.core.langfuse.turns import (
    ANSWER,
    GENERATED,
    PASSAGE,
    PROMPT,
    QUESTION,
    RUN_ID,
    THREAD_ID,
    UPDATES,
    begin,
    whole,
)
from tests.receiver import TRACES, Receiver


@pytest.fixture
async def sent() -> Receiver:
    """What Langfuse has received of one whole turn."""
    with Receiver() as receiver:
        async with opened(receiver.url) as made:
            whole(made)
        return receiver


async def test_a_turn_is_one_trace(sent: Receiver) -> None:
    """All observations of a turn carry the trace id that follows from the run's id."""
    assert {span.trace_id for span in sent.spans} == {Langfuse.create_trace_id(seed=RUN_ID)}
    assert {span.scope for span in sent.spans} == {"langfuse-sdk"}
    assert [path for _, path, _ in sent.requests] == [TRACES]


async def test_every_observation_says_whose_turn_it_is(sent: Receiver) -> None:
    """Session, user, tenant and release are on every observation, where Langfuse filters."""
    for span in sent.spans:
        assert span.attributes["session.id"] == THREAD_ID
        assert span.attributes["user.id"] == "ada"
        assert span.attributes["langfuse.trace.tags"] == ["tenant:acme"]
        assert span.attributes["langfuse.trace.name"] == "turn"
        assert span.json("trace.metadata.tenant") == "acme"
        assert span.attributes["langfuse.release"] == "0.1.0"
        assert span.attributes["langfuse.environment"] == "default"


async def test_the_root_has_question_and_answer(sent: Receiver) -> None:
    """The root observation carries the user's text, the answer and what the turn came to."""
    root = sent.span("turn")
    assert root.attributes["langfuse.observation.input"] == QUESTION
    assert root.attributes["langfuse.observation.output"] == ANSWER
    assert root.json("observation.metadata.intent") == "knowledge_question"
    assert root.json("observation.metadata.abstained") is False
    assert root.json("observation.metadata.citations") == 0
    assert root.json("observation.metadata.attempt") == 1
    assert "langfuse.observation.level" not in root.attributes


async def test_every_node_is_a_span_of_the_root(sent: Receiver) -> None:
    """Each node is a span below the root, within its time, and shows what it decided."""
    root = sent.span("turn")
    for node in UPDATES:
        span = sent.span(node)
        assert (span.kind, span.parent_id) == ("span", root.span_id)
        assert root.began_ns <= span.began_ns <= span.ended_ns <= root.ended_ns
    assert sent.span("classify").json("observation.output")["intent"] == "knowledge_question"


async def test_the_retrieval_shows_what_was_found(sent: Receiver) -> None:
    """Inside `retrieve` stand the query and the passages with ids, titles and scores."""
    search, node = sent.span("search"), sent.span("retrieve")
    assert (search.kind, search.parent_id) == ("retriever", node.span_id)
    assert search.ended_ns == node.ended_ns
    assert search.attributes["langfuse.observation.input"] == QUESTION
    [found] = search.json("observation.output")
    assert found["chunk_id"] == PASSAGE["chunk_id"]
    assert found["title"] == "Warsaw"
    assert (found["score"], found["scores"]) == (0.91, {"vector": 0.83, "keyword": 11.2})
    assert "text" not in found


async def test_the_generation_shows_what_was_asked_and_answered(sent: Receiver) -> None:
    """Inside `generate` stand the prompt as sent with its version, the raw answer and the bill."""
    span, node = sent.span("answer"), sent.span("generate")
    assert (span.kind, span.parent_id) == ("generation", node.span_id)
    assert span.json("observation.input") == PROMPT["messages"]
    assert span.attributes["langfuse.observation.output"] == GENERATED["raw_answer"]
    assert span.attributes["langfuse.observation.prompt.name"] == "answer"
    assert span.attributes["langfuse.observation.prompt.version"] == 3
    assert span.json("observation.metadata.prompt_sha256") == PROMPT["sha256"]
    assert span.json("observation.usage_details") == {"input": 120, "output": 14, "total": 134}
    assert span.attributes["langfuse.observation.model.name"] == "mistral-7b"
    assert span.attributes["langfuse.version"] == "sha-1234"
    assert span.json("observation.metadata.model_server") == "text-generation-inference 3.3.6"
    assert span.json("observation.model.parameters") == {"temperature": 0.2, "max_tokens": 300}
    assert span.json("observation.metadata.first_token_ms") == 250.0
    assert span.attributes["langfuse.observation.completion_start_time"]
    assert "langfuse.observation.prompt.name" not in sent.span("search").attributes


async def test_the_wire_is_what_the_server_expects(sent: Receiver) -> None:
    """Spans travel compressed, with the keys as basic authentication and the SDK's headers."""
    [(method, _, headers)] = sent.requests
    assert method == "POST"
    assert headers["content-encoding"] == "gzip"
    assert headers["authorization"].startswith("Basic ")
    assert headers["x-langfuse-ingestion-version"] == "4"


async def test_an_error_is_a_code() -> None:
    """A failed node shows its code; what is no code, as an exception's text, does not leave."""
    with Receiver() as receiver:
        async with opened(receiver.url) as made:
            trace = begin(made)
            trace.node_started("retrieve")
            trace.node_finished("retrieve", TurnState(), error="database_busy")
            trace.node_started("generate")
            trace.node_finished("generate", TurnState(), error="no such user: ada@example.com")
            trace.finish(TurnState(text=QUESTION), error="database_busy")
    for name, code in (("retrieve", "database_busy"), ("generate", "error")):
        span = receiver.span(name)
        assert span.attributes["langfuse.observation.level"] == "ERROR"
        assert (span.attributes["langfuse.observation.status_message"], span.status) == (code, code)
    assert receiver.span("turn").attributes["langfuse.observation.level"] == "ERROR"
    assert b"example.com" not in receiver.raw


async def test_a_cancelled_turn_is_whole() -> None:
    """A turn that was cancelled in a node still arrives, with that node marked."""
    with Receiver() as receiver:
        async with opened(receiver.url) as made:
            trace = begin(made)
            trace.node_started("generate")
            trace.finish(TurnState(text=QUESTION))
    assert receiver.span("generate").attributes["langfuse.observation.level"] == "WARNING"
    assert receiver.span("turn").attributes["langfuse.observation.input"] == QUESTION


async def test_a_model_that_was_not_asked_has_no_generation() -> None:
    """Without a prompt there is no generation."""
    with Receiver() as receiver:
        async with opened(receiver.url) as made:
            trace = begin(made)
            trace.node_started("generate")
            trace.node_finished("generate", TurnState(prompt=None, answer="", usage=None))
            trace.finish(TurnState(text=QUESTION, abstained=True))
    assert sorted(span.name for span in receiver.spans) == ["generate", "turn"]


async def test_a_further_attempt_joins_the_same_trace() -> None:
    """What another process does with the same run appears in the same trace."""
    with Receiver() as receiver:
        for _ in range(2):
            async with opened(receiver.url) as made:
                begin(made).finish(TurnState(answer=ANSWER))
    assert len(receiver.spans) == 2
    assert len({span.trace_id for span in receiver.spans}) == 1


async def test_turns_side_by_side_do_not_mix() -> None:
    """Observations of turns that run at the same time stay in their own traces."""
    with Receiver() as receiver:
        async with opened(receiver.url) as made:
            traces = [
                made.turn(
                    run_id=user,
                    thread_id=user,
                    user_id=user,
                    tenant_id="acme",
                    text=user,
                    attempt=1,
                )
                for user in ("ada", "bob", "eve")
            ]
            for trace in traces:
                trace.node_started("screen")
            for trace in traces:
                trace.node_finished("screen", TurnState())
            for trace in traces:
                trace.finish(TurnState())
    assert len(receiver.spans) == 6
    for span in receiver.spans:
        root = next(s for s in receiver.spans if s.trace_id == span.trace_id and s.name == "turn")
        assert span.attributes["user.id"] == root.attributes["langfuse.observation.input"]

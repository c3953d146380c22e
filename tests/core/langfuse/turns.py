"""A turn to trace: what its nodes return, and what it comes to."""

from __future__ import annotations

from core.telemetry import Trace, Tracer
from core.turn import ModelRecord, Passage, PromptRecord, TurnState, Usage

RUN_ID = "01998a5e-0000-7000-8000-000000000001"
THREAD_ID = "01998a5e-0000-7000-8000-000000000002"
QUESTION = "When did Warsaw become the capital?"
ANSWER = "Warsaw became the capital in 1596 [1]."

PASSAGE = Passage(
    chunk_id=7,
    document_id="01998a5e-0000-7000-8000-000000000003",
    uri="docs/warsaw.md",
    title="Warsaw",
    section="History",
    page=None,
    ordinal=2,
    text="In 1596 Sigismund III moved the capital from Kraków to Warsaw.",
    tokens=17,
    score=0.91,
    scores={"vector": 0.83, "keyword": 11.2},
)
PROMPT = PromptRecord(
    name="answer",
    version=3,
    sha256="ab" * 32,
    messages=[
        {"role": "system", "content": "You are Parley."},
        {"role": "user", "content": f"<question>{QUESTION}</question>"},
    ],
)
GENERATED = TurnState(
    prompt=PROMPT,
    raw_answer=ANSWER + " And [9].",
    answer=ANSWER,
    citations=[],
    finish_reason="stop",
    model=ModelRecord(
        name="mistral-7b", version="sha-1234", server="text-generation-inference 3.3.6"
    ),
    usage=Usage(prompt_tokens=120, completion_tokens=14, total_tokens=134),
    first_token_ms=250.0,
)
UPDATES: dict[str, TurnState] = {
    "screen": TurnState(text=QUESTION, findings=[], refusal=None),
    "recall": TurnState(history=[]),
    "classify": TurnState(intent="knowledge_question", intent_confidence=0.97, query=QUESTION),
    "retrieve": TurnState(passages=[PASSAGE]),
    "generate": GENERATED,
    "verify": TurnState(answer=ANSWER, abstained=False, citations=[]),
    "remember": TurnState(),
}
SPANS = len({"turn", "search", "answer", *UPDATES})  # of one whole turn


def begin(tracer: Tracer, *, text: str = QUESTION, run_id: str = RUN_ID) -> Trace:
    """Return the trace of a turn that has just begun."""
    return tracer.turn(
        run_id=run_id,
        thread_id=THREAD_ID,
        user_id="ada",
        tenant_id="acme",
        text=text,
        attempt=1,
    )


def whole(tracer: Tracer, *, run_id: str = RUN_ID) -> None:
    """Trace a whole turn."""
    trace = begin(tracer, run_id=run_id)
    state = TurnState(text=QUESTION, parameters={"temperature": 0.2, "max_tokens": 300})
    for node, update in UPDATES.items():
        trace.node_started(node)
        trace.node_finished(node, update)
        state.update(update)
    trace.finish(state)

"""The words of a turn: what a passage, a citation and the state of the running turn are.

Everything here is plain, serialisable data, because the state is checkpointed.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict  # pydantic, hence Studio, refuses typing's before 3.12


class Intent(StrEnum):
    """What the user wants from this turn (requirement A3)."""

    SMALL_TALK = "small_talk"
    KNOWLEDGE = "knowledge_question"
    ACTION = "action"
    FOLLOW_UP = "follow_up"
    CLARIFY = "clarification_needed"
    FEEDBACK = "feedback"
    GOODBYE = "goodbye"
    HANDOFF = "human_handoff"
    OUT_OF_SCOPE = "out_of_scope"


TALK = frozenset({Intent.SMALL_TALK, Intent.GOODBYE, Intent.FEEDBACK})  # asks for nothing


class Part(TypedDict):
    """One chunk of a passage that was put together from neighbours."""

    chunk_id: int
    ordinal: int
    page: int | None
    start: int  # its place in the passage's text, in characters; what two chunks share is in both
    end: int


class Passage(TypedDict):
    """A chunk of a document that a search found, or several that stand side by side there."""

    chunk_id: int
    document_id: str
    uri: str  # where the document came from
    title: str
    section: str  # headings above the chunk, joined with " > "; "" when there are none
    page: int | None  # 1-based
    ordinal: int  # position of the chunk in its document, from 0
    text: str
    tokens: int
    score: float  # fused, in [0, 1], best first
    scores: dict[str, float]  # by retriever: "vector" is a cosine, "keyword" a BM25 score
    modified_at: NotRequired[str | None]  # of the document, ISO 8601
    parts: NotRequired[list[Part]]  # in reading order, when there are several chunks
    flags: NotRequired[list[str]]  # instructions found in it, as "untrusted: change_answer"


class Citation(TypedDict):
    """One use of a source in an answer."""

    marker: int  # the number in the text, as in [1]
    chunk_id: int
    document_id: str
    uri: str
    title: str
    section: str
    page: int | None
    quote: str  # the sentence of the passage that it rests on


class HistoryMessage(TypedDict):
    """An earlier message of the conversation, inside the window that the model sees."""

    role: Literal["user", "assistant"]
    content: str
    seq: int | None  # place in the thread; None when the caller sent the history along


class PromptRecord(TypedDict):
    """The prompt that was really sent, and which template made it."""

    name: str
    version: int
    sha256: str  # of the template file
    messages: list[dict[str, Any]]  # {"role", "content"}, as sent; history has "seq" too


class Usage(TypedDict):
    """Tokens, as the model server counted them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ModelRecord(TypedDict):
    """Which model really answered; from the server's own /info, not from our settings."""

    name: str
    version: str  # model revision or the server's build label
    server: str  # "text-generation-inference 3.3.6", "parley-extractive 1"


class ModelCall(TypedDict):
    """One question that a turn put to a model, and what it took."""

    task: str  # answer | rewrite | classify | judge | summarise
    model: str  # its name in the model file
    why: list[str]  # why the router chose it, in few words each
    tried: list[dict[str, str]]  # before it, in order: {"model", "error"}
    usage: Usage | None
    cost_usd: float  # by the price of the model file
    ms: float
    error: str  # code of the error it ended with; "" when it answered


class ProposedCall(TypedDict):
    """A call of a tool that the model asks for."""

    call_id: str  # ours: model servers repeat theirs
    tool: str
    arguments: str  # as the model wrote them: JSON, if it was careful


class Step(TypedDict):
    """An answer of the model that asks for tools."""

    said: str
    calls: list[ProposedCall]


class CallResult(TypedDict):
    """What came of a call, as the model is told."""

    status: str  # of the ledger; "refused" also for a call that could not be made at all
    text: str
    code: str  # why it did not succeed; "" when it did
    sources: list[str]  # where text by strangers in it came from
    flags: NotRequired[list[str]]  # instructions found in it


class Taint(TypedDict):
    """Where text by strangers entered the conversation."""

    kind: Literal["document", "tool"]
    source: str  # URI of the document, address of the page, name of the tool
    flags: NotRequired[list[str]]  # instructions found there; such a source taints in any case


class TurnState(TypedDict, total=False):
    """The running turn. The conversation's history lives in the `messages` table."""

    text: str  # what the user wrote, normalised by `screen`
    user_seq: int  # sequence number of the user's message in its thread
    instructions: str  # system messages a client of the OpenAI dialect sent along
    given_history: list[HistoryMessage]  # history that the caller sent; [] for stored threads
    webhook: bool  # the outside is told when this turn waits or ends
    names: list[str]  # of the user, as their profile has them
    parameters: dict[str, Any]  # temperature, max_tokens, stop: what the caller may set
    refusal: str | None  # set by `screen`: the template name of the refusal
    findings: list[dict[str, Any]]  # what the checks found: check, severity, action; no text
    history: list[HistoryMessage]
    intent: str
    intent_confidence: float  # in [0, 1]
    query: str  # standalone, what retrieval searches for
    cache: dict[str, Any]  # what became of the look into the answer cache: result, why
    passages: list[Passage]  # as numbered in the prompt: passages[0] is [1]
    retrieval: dict[str, Any]  # for the turn log: queries, rounds, scores, what was assembled
    acting: bool  # it sounds like a task, and there are tools for it
    steps: list[Step]  # answers of the model that asked for tools, in order
    results: dict[str, CallResult]  # by call_id
    argument_flags: dict[str, list[str]]  # by call_id: what the checks found in its arguments
    cleared: str  # call_id of the call that may be made now
    taint: list[Taint]  # text by strangers that the model has seen; never shrinks
    private: bool  # the model has seen text that is the tenant's or the user's own
    stopped: str  # the limit that ended the calls: steps | calls | tokens | repeats
    spent_tokens: int  # of all answers of the model in this turn
    placeholders: dict[str, str]  # what a model was shown in place of personal data, and that data
    prompt: PromptRecord | None  # None when no model was asked
    raw_answer: str  # what the model wrote
    answer: str  # what the user got
    citations: list[Citation]
    support: list[dict[str, Any]]  # each checked sentence of the answer: verdict and why
    abstained: bool  # the answer is "I don't know"
    finish_reason: str  # stop | length | content_filter
    model: ModelRecord | None
    usage: Usage | None
    model_calls: list[ModelCall]  # in order
    budget: dict[str, Any]  # of the last prompt: tokens and limit by part, what was left out
    level: str  # where the answer came from: full | fallback | degraded | cached | canned
    title: str  # of the thread, from its first turn
    first_token_ms: float | None  # from asking the model to its first token

"""The things of the native dialect as clients see them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.bodies import Body, Metadata, Title
from graphs.admission import Multitask
from tgi.routing import Level

_THREAD = {
    "thread_id": "01937b6e-3c1a-7c4e-9a55-0a4b8a4d2f10",
    "title": "How do I restore a backup?",
    "metadata": {"team": "support"},
    "messages": 2,
    "created_at": "2026-11-20T09:30:00Z",
    "updated_at": "2026-11-20T09:30:02Z",
}
_RUN = {
    "run_id": "01937b6e-3c2f-7d02-8d0e-5f2f6f0f9d11",
    "thread_id": _THREAD["thread_id"],
    "status": "succeeded",
    "error": None,
    "attempt": 1,
    "created_at": "2026-11-20T09:30:00Z",
    "finished_at": "2026-11-20T09:30:02Z",
    "approvals": [],
}
_WAITING = _RUN | {
    "status": "waiting",
    "finished_at": None,
    "approvals": ["01937b6e-3d07-7b1c-9a64-3d6c0a52e413"],
}
_CITATION = {
    "marker": 1,
    "chunk_id": 42,
    "document_id": "0b1d3c1e-5b0e-5f2e-8f52-2a1f5f3f7c11",
    "uri": "docs/backup.md",
    "title": "Backups",
    "section": "Restore",
    "page": None,
    "quote": "Stop the server, then run the restore command …",
}
_ANSWER = {
    "message_id": "01937b6e-4420-7a50-b7fc-c1f7f1c6cf12",
    "role": "assistant",
    "content": "Stop the server, then run the restore command [1].",
    "citations": [_CITATION],
    "abstained": False,
}
_END = {"finish_reason": "stop", "cached": None, "level": "full"}
_MESSAGE = _ANSWER | {"seq": 2, "run_id": _RUN["run_id"], "created_at": "2026-11-20T09:30:02Z"}
_TURN = {
    "run_id": _RUN["run_id"],
    "thread_id": _THREAD["thread_id"],
    "intent": "knowledge_question",
    "query": "How do I restore a backup?",
    "prompt_name": "answer",
    "prompt_version": 1,
    "prompt_sha256": "9f2c…",
    "prompt": [{"role": "system", "content": "You answer from the sources …"}],
    "passages": [{"chunk_id": 42, "title": "Backups", "scores": {"vector": 0.71, "keyword": 9.2}}],
    "retrieval": {
        "cache": {"result": "miss", "refused": [{"cosine": 0.93, "differs": "number"}]},
        "assembly": {"strategy": "relevance", "passages": [[42, 43]], "tokens": 410},
    },
    "support": [
        {
            "sentence": "Stop the server, then run the restore command [1].",
            "markers": [1],
            "supported": True,
            "why": "quoted",
            "action": "kept",
        }
    ],
    "raw_answer": "Stop the server, then run the restore command [1].",
    "model": {"name": "parley-extractive", "version": "1", "server": "parley-extractive 1"},
    "usage": {"prompt_tokens": 640, "completion_tokens": 12, "total_tokens": 652},
    "stages": {"screen": 2.1, "classify": 5.6, "retrieve": 14.0, "generate": 48.3},
    "first_token_ms": 31.5,
    "total_ms": 84.2,
    "outcome": "answered",
    "actions": [
        {
            "step": 1,
            "call_id": "01937b6e-3ce1-7f70-8b0e-6f1c2d3e4f50",
            "tool": "open_ticket",
            "arguments": '{"subject": "The lamp is out"}',
            "result": {"status": "done", "text": "Ticket 17 is open.", "code": "", "sources": []},
        }
    ],
    "model_calls": [
        {
            "task": "answer",
            "model": "small",
            "why": ["cheapest above the bar"],
            "tried": [],
            "usage": {"prompt_tokens": 640, "completion_tokens": 12, "total_tokens": 652},
            "cost_usd": 0.000135,
            "ms": 48.1,
            "error": "",
        }
    ],
    "findings": [
        {
            "check": "pii",
            "severity": "low",
            "action": "warn",
            "detail": "email",
            "direction": "input",
            "digest": "5d41402abc4b2a76b9719d911017c592",
        }
    ],
    "level": "full",
    "budget": {
        "tokenizer": "tgi server",
        "exact": True,
        "context": 8192,
        "prompt_tokens": 640,
        "parts": {
            "system": {"tokens": 110, "limit": 2000},
            "history": {"tokens": 0, "limit": 4000},
            "sources": {"tokens": 480, "limit": 4000},
            "question": {"tokens": 9, "limit": 7680},
            "frame": {"tokens": 41, "limit": 7680},
            "output": {"tokens": 512, "limit": 512},
        },
        "dropped": {"history": [], "sources": [[44]], "cut": None},
    },
    "created_at": "2026-11-20T09:30:02Z",
}


def _shape(*examples: dict[str, Any]) -> ConfigDict:
    return ConfigDict(from_attributes=True, json_schema_extra={"examples": [*examples]})


class NewThread(Body):
    """What a new conversation begins with."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"title": "", "metadata": {"team": "support"}}]}
    )
    title: Title = Field("", description="Empty: the first question becomes the title.")
    metadata: Metadata = Field(default_factory=dict, description="Yours; at most 16 KiB of JSON.")


class ThreadChange(Body):
    """What changes; what is left out stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"title": "Backups"}]})
    title: Title | None = None
    metadata: Metadata | None = Field(None, description="Replaces the metadata as a whole.")


_LEVEL = (
    "Where the answer came from: the model that is wanted, another one, the sources alone, earlier "
    "answers, or a sentence of ours; null when no model was asked."
)


class NewRun(Body):
    """A turn to run."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"input": "How do I restore a backup?", "stream": True}]}
    )
    input: str = Field(description="The user's message, at most 32 000 characters.")
    stream: bool = Field(False, description="Answer with the run's events as they happen.")
    multitask_strategy: Multitask = Field(
        "enqueue",
        description="While another turn of the thread runs: wait for it, be refused, cancel it "
        "and keep its question, or cancel it and take its messages back.",
    )
    webhook: bool = Field(
        False, description="Tell `WEBHOOK_URL` when the run waits for a person and when it ends."
    )


class Thread(BaseModel):
    """A conversation."""

    model_config = _shape(_THREAD)
    thread_id: UUID
    title: str
    metadata: dict[str, Any]
    messages: int = Field(description="How many messages it holds.")
    created_at: datetime
    updated_at: datetime


class ThreadPage(BaseModel):
    """Conversations, newest first."""

    model_config = _shape({"threads": [_THREAD], "next": None})
    threads: list[Thread]
    next: str | None = Field(description="Give it as `cursor` for the next page; null at the end.")


class Message(BaseModel):
    """A message of a conversation."""

    model_config = _shape(_MESSAGE)
    message_id: UUID
    seq: int = Field(description="1, 2, 3 … within the thread.")
    run_id: UUID
    role: Literal["user", "assistant"]
    content: str
    citations: list[dict[str, Any]]
    abstained: bool = Field(description="The answer is “I don't know”.")
    created_at: datetime


class MessagePage(BaseModel):
    """Messages, oldest first."""

    model_config = _shape({"messages": [_MESSAGE], "next": None})
    messages: list[Message]
    next: int | None = Field(description="Give it as `after` for the next page; null at the end.")


class Run(BaseModel):
    """A turn of a conversation."""

    model_config = _shape(_RUN, _WAITING)
    run_id: UUID
    thread_id: UUID
    status: Literal["queued", "running", "waiting", "succeeded", "failed", "cancelled"] = Field(
        description="queued: behind another turn. waiting: a person decides how it goes on."
    )
    error: dict[str, str] | None = Field(description="`code` and `message` of a failed run.")
    attempt: int = Field(
        description="0 while it is queued; raised each time that somebody goes on with it."
    )
    created_at: datetime
    finished_at: datetime | None
    approvals: list[UUID] = Field(description="What a waiting run waits for, oldest first.")


class RunList(BaseModel):
    """Runs of a thread, newest first."""

    model_config = _shape({"runs": [_RUN]})
    runs: list[Run]


class Answer(BaseModel):
    """The message that a run ended with."""

    model_config = _shape(_ANSWER | _END)
    message_id: UUID
    role: Literal["assistant"]
    content: str
    citations: list[dict[str, Any]]
    abstained: bool
    finish_reason: str
    cached: Literal["exact", "semantic"] | None = Field(
        None, description="Given before to the same question; null when it is new."
    )
    level: Level | None = Field(None, description=_LEVEL)


class AnsweredRun(BaseModel):
    """A finished run with its answer."""

    model_config = _shape({"run": _RUN, "message": _ANSWER | _END})
    run: Run
    message: Answer


class TurnLog(BaseModel):
    """What was asked, found, sent and answered in a turn, with the time each stage took."""

    model_config = _shape(_TURN)
    run_id: UUID
    thread_id: UUID
    intent: str | None
    query: str | None = Field(description="What retrieval searched for.")
    prompt_name: str | None = Field(description="Null when no model was asked.")
    prompt_version: int | None
    prompt_sha256: str | None
    prompt: list[dict[str, Any]] = Field(description="As sent; stored messages by their id.")
    passages: list[dict[str, Any]] = Field(description="With the score of each retriever.")
    retrieval: dict[str, Any] = Field(
        description="How they were found: the look into the cache, queries, rounds, assembly."
    )
    support: list[dict[str, Any]] = Field(
        description="Each checked sentence of the answer: supported or not, why, what was done."
    )
    actions: list[dict[str, Any]] = Field(
        description="Each call of a tool as the model wrote it, and what came of it so far."
    )
    model_calls: list[dict[str, Any]] = Field(
        description="Each question to a model: which one and why, what failed before, its cost."
    )
    budget: dict[str, Any] = Field(
        description="Tokens and limit of each part of the last prompt, and what was left out."
    )
    findings: list[dict[str, Any]] = Field(
        description="What the safety checks found and decided, with digests in place of texts."
    )
    level: Level | None = Field(None, description=_LEVEL)
    raw_answer: str = Field(description="What the model wrote, before any check changed it.")
    model: dict[str, Any] | None
    usage: dict[str, Any] | None
    stages: dict[str, float] = Field(description="Milliseconds by node.")
    first_token_ms: float | None
    total_ms: float
    outcome: Literal["answered", "abstained", "refused", "failed", "cancelled", "waiting"]
    created_at: datetime | None


class ErrorDetail(BaseModel):
    """What went wrong, for programs (`code`) and for people (`message`, `hint`)."""

    code: str
    message: str
    hint: str | None = None
    param: str | None = Field(None, description="The field at fault, where one is.")
    request_id: str | None = Field(None, description="The log knows more under this id.")
    approval: dict[str, Any] | None = Field(
        None, description="The decision that was first, where yours came later."
    )


class ErrorAnswer(BaseModel):
    """The shape of every error of the native dialect."""

    model_config = _shape(
        {
            "error": {
                "code": "run_active",
                "message": "This thread already has an active run: wait for it or cancel it.",
                "hint": None,
                "request_id": "req_2f7e9b0c4f0d4c0f8f0e1d2c3b4a5968",
            }
        }
    )
    error: ErrorDetail

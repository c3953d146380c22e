"""What happened inside a node: a search with its passages, a call of the model."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from langfuse import (
    Langfuse,
    LangfuseGeneration,
    LangfuseRetriever,
    LangfuseSpan,
    propagate_attributes,
)
from opentelemetry import trace as otel
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from core.langfuse.clean import Clean
from core.turn import Passage, TurnState, Usage


@dataclass(frozen=True, slots=True)
class Node:
    """A node that runs."""

    span: LangfuseSpan
    began_ns: int


@dataclass(frozen=True, slots=True)
class Inside:
    """What happened inside a node, kept until the turn ends: only then all of it is known."""

    node: Node
    ended_ns: int
    update: TurnState


class Reporter:
    """Sends observations that are over already; shared by all turns."""

    def __init__(self, client: Langfuse, spans: otel.Tracer, clean: Clean) -> None:
        self._client = client
        self._spans = spans
        self._clean = clean

    def report(self, inside: Inside, state: TurnState) -> None:
        """Send the search and the call of the model that the node's update tells of, if any.

        state: the turn at its end; it knows the query and the parameters.
        """
        if "passages" in inside.update:
            self._retrieval(inside, state)
        if inside.update.get("prompt"):
            self._generation(inside, state)

    def _retrieval(self, inside: Inside, state: TurnState) -> None:
        passages = inside.update["passages"]
        LangfuseRetriever(
            otel_span=self._past(inside.node, "search"),
            langfuse_client=self._client,
            input=self._clean(inside.update.get("query", state.get("query"))),
            output=self._clean([_brief(passage) for passage in passages]),
            metadata=self._clean(inside.update.get("retrieval", {})),
        ).end(end_time=inside.ended_ns)

    def _generation(self, inside: Inside, state: TurnState) -> None:
        update = inside.update
        prompt, model, usage = update["prompt"], update.get("model"), update.get("usage")
        assert prompt is not None
        # The prompt is a file of ours, which Langfuse's server may not know. The link that the
        # SDK sets lasts only if it does; the metadata lasts.
        with propagate_attributes(prompt={"name": prompt["name"], "version": prompt["version"]}):
            span = self._past(inside.node, "answer")
        LangfuseGeneration(
            otel_span=span,
            langfuse_client=self._client,
            input=self._clean(prompt["messages"]),
            output=self._clean(update.get("raw_answer")),
            model=model["name"] if model else None,
            version=model["version"] if model else None,
            model_parameters=self._clean(update.get("parameters", state.get("parameters"))),
            usage_details=_usage(usage) if usage else None,
            completion_start_time=_first_token(inside.node, update.get("first_token_ms")),
            metadata=self._clean(
                {
                    "prompt_name": prompt["name"],
                    "prompt_version": prompt["version"],
                    "prompt_sha256": prompt["sha256"],
                    "model_version": model["version"] if model else None,
                    "model_server": model["server"] if model else None,
                    "finish_reason": update.get("finish_reason"),
                    "first_token_ms": update.get("first_token_ms"),
                    "level": update.get("level"),
                    "model_calls": update.get("model_calls"),
                }
            ),
        ).end(end_time=inside.ended_ns)

    def _past(self, node: Node, name: str) -> otel.Span:
        """Return a span inside `node` that began when the node did."""
        parent = SpanContext(
            trace_id=int(node.span.trace_id, 16),
            span_id=int(node.span.id, 16),
            is_remote=False,
            trace_flags=TraceFlags(TraceFlags.SAMPLED),
        )
        return self._spans.start_span(
            name,
            context=otel.set_span_in_context(NonRecordingSpan(parent)),
            start_time=node.began_ns,
        )


def _brief(passage: Passage) -> dict[str, Any]:
    """Return a passage without its text, which stands in the prompt."""
    return {
        "chunk_id": passage["chunk_id"],
        "document_id": passage["document_id"],
        "title": passage["title"],
        "section": passage["section"],
        "page": passage["page"],
        "uri": passage["uri"],
        "score": passage["score"],
        "scores": passage["scores"],
    }


def _usage(usage: Usage) -> dict[str, int]:
    return {
        "input": usage["prompt_tokens"],
        "output": usage["completion_tokens"],
        "total": usage["total_tokens"],
    }


def _first_token(node: Node, first_token_ms: float | None) -> datetime | None:
    """Return when the first token came; rendering the prompt, well under 1 ms, is left out."""
    if first_token_ms is None:
        return None
    return datetime.fromtimestamp(node.began_ns / 1e9 + first_token_ms / 1000, UTC)

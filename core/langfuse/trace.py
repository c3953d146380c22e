"""One turn as Langfuse sees it.

turn                       input: the user's text; output: the answer; session, user, tenant
├── screen                 a span per node, with what it decided
├── …
├── reuse                  with what the answer cache said
├── retrieve
│   └── search             a retriever: the query, the passages' ids, titles and scores
├── generate
│   └── answer             a generation: prompt with version, messages as sent, raw answer,
│                          usage, model and version, parameters, first token
└── …
"""

from __future__ import annotations

import contextvars
import re
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from langfuse import Langfuse, LangfuseSpan, propagate_attributes

from core.langfuse.clean import Clean
from core.langfuse.inside import Inside, Node, Reporter
from core.turn import TurnState

P = ParamSpec("P")

# What a node's span shows of its update. A list of what may, so that a new field of the state
# does not appear in traces by accident; texts that others carry are left to them.
SHOWN = (
    "intent",
    "intent_confidence",
    "query",
    "cache",
    "retrieval",
    "refusal",
    "findings",
    "abstained",
    "finish_reason",
    "citations",
)
MAX_ID_CHARACTERS = 200  # longer ones are dropped by the SDK
CANCELLED = "CancelledError"  # how a node that was interrupted reports itself
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


def _safe(
    method: Callable[Concatenate[LangfuseTrace, P], None],
) -> Callable[Concatenate[LangfuseTrace, P], None]:
    """Return `method` run in the trace's own context, its failures counted."""

    @wraps(method)
    def run(trace: LangfuseTrace, /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            trace.context.run(method, trace, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - a turn must not fail because tracing does
            trace.failed(error)

    return run


class LangfuseTrace:
    """The trace of one turn. Never blocks, never raises; call `finish` or it stays open."""

    def __init__(
        self,
        client: Langfuse,
        reporter: Reporter,
        clean: Clean,
        failed: Callable[[Exception], None],
        *,
        run_id: str,
        thread_id: str,
        user_id: str,
        tenant_id: str,
        text: str,
        attempt: int,
    ) -> None:
        self.failed = failed
        self._client = client
        self._reporter = reporter
        self._clean = clean
        self._open: dict[str, Node] = {}
        self._inside: list[Inside] = []
        self._done = False
        # The SDK keeps user and session in the current context. This trace has a context of
        # its own and enters it for each call: nothing stays attached to the task that runs
        # the turn, so nothing has to be detached from another one.
        self.context = contextvars.Context().run(
            self._identify, run_id, thread_id, user_id, tenant_id
        )
        self._root = self.context.run(self._begin, run_id, text, attempt)

    @_safe
    def node_started(self, node: str) -> None:
        """Open the node's span."""
        self._close(node, TurnState(), None)
        began_ns = time.time_ns()
        self._open[node] = Node(self._root.start_observation(name=node, as_type="span"), began_ns)

    @_safe
    def node_finished(self, node: str, update: TurnState, error: str | None = None) -> None:
        """Close the node's span with what it changed."""
        self._close(node, update, error)

    @_safe
    def finish(self, state: TurnState, error: str | None = None) -> None:
        """Close the trace with what the turn came to."""
        if self._done:
            return
        self._done = True
        for node in list(self._open):
            self._close(node, TurnState(), error or CANCELLED)
        for inside in self._inside:
            try:
                self._reporter.report(inside, state)
            except Exception as problem:  # noqa: BLE001 - the rest is worth sending
                self.failed(problem)
        self._root.update(
            output=self._clean(state.get("answer")),
            metadata=self._clean(
                {
                    "intent": state.get("intent"),
                    "refusal": state.get("refusal"),
                    "abstained": state.get("abstained"),
                    "citations": len(state.get("citations", [])),
                    "findings": state.get("findings"),
                    "finish_reason": state.get("finish_reason"),
                    "cache": state.get("cache", {}).get("result"),
                }
            ),
            **_level(error),
        )
        self._root.end()

    def _identify(
        self, run_id: str, thread_id: str, user_id: str, tenant_id: str
    ) -> contextvars.Context:
        """Return a context in which every span carries whose turn it is."""
        thread_id, user_id, tenant_id = (
            self._clean.text(value)[:MAX_ID_CHARACTERS] for value in (thread_id, user_id, tenant_id)
        )
        with propagate_attributes(
            session_id=thread_id,
            user_id=user_id,
            trace_name="turn",
            tags=[f"tenant:{tenant_id}"[:MAX_ID_CHARACTERS]],
            metadata={"tenant": tenant_id, "run_id": run_id},
        ):
            return contextvars.copy_context()

    def _begin(self, run_id: str, text: str, attempt: int) -> LangfuseSpan:
        return self._client.start_observation(
            trace_context={"trace_id": Langfuse.create_trace_id(seed=run_id)},
            name="turn",
            input=self._clean(text),
            metadata={"attempt": attempt},
        )

    def _close(self, name: str, update: TurnState, error: str | None) -> None:
        node = self._open.pop(name, None)
        if node is None:
            return
        ended_ns = time.time_ns()
        self._inside.append(Inside(node, ended_ns, update))
        shown = {key: value for key, value in update.items() if key in SHOWN}
        node.span.update(output=self._clean(shown) if shown else None, **_level(error))
        node.span.end(end_time=ended_ns)


def _level(error: str | None) -> dict[str, Any]:
    """Return how an observation says that it failed: by a code, never by an exception's text."""
    if error is None:
        return {}
    if error == CANCELLED:
        return {"level": "WARNING", "status_message": "cancelled"}
    return {"level": "ERROR", "status_message": error if _CODE.fullmatch(error) else "error"}

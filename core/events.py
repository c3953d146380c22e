"""What happens in a run, as numbered events.

`seq` strictly increases within a run and never repeats, also when another process
takes the run over: each attempt numbers from its own base (see graphs/journal.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

EventType = Literal[
    "run.started",  # {run_id, thread_id, attempt}
    # {run_id, attempt, answer}: of what was said, only `answer` stands; the rest is said anew
    "run.resumed",
    "node.started",  # {node}
    "node.finished",  # {node, ms}
    "intent",  # {intent, confidence}
    "sources",  # {passages: [{marker, chunk_id, document_id, uri, title, section, page, score}]}
    "token",  # {text}
    "citation",  # a core.turn.Citation
    "tool.proposed",  # {call_id, position, tool, arguments, decision, rule, taint}
    # {approval_id, call_id, kind, tool, arguments, quorum, expires_at, interrupt: HITLRequest}
    "approval.required",
    "approval.decided",  # {approval_id, call_id, status, decided_by, reason}
    "tool.started",  # {call_id, tool}
    "tool.finished",  # {call_id, tool, status, code, text}
    "run.waiting",  # {run_id, approval_id}: a person decides how it goes on
    # {message_id, role, content, citations, abstained, finish_reason, cached}
    "message.finished",
    "usage",  # {prompt_tokens, completion_tokens, total_tokens, cost_usd, model: ModelRecord}
    "run.finished",  # {run_id}
    "run.failed",  # {run_id, error: {code, message}}
    "run.cancelled",  # {run_id}
]

TERMINAL: frozenset[str] = frozenset({"run.finished", "run.failed", "run.cancelled"})


@dataclass(frozen=True, slots=True)
class Event:
    """One numbered event of a run."""

    seq: int
    type: EventType
    data: dict[str, Any]

    @property
    def is_terminal(self) -> bool:
        """True for the one event that ends a run's log."""
        return self.type in TERMINAL


Emit = Callable[[EventType, dict[str, Any]], None]
"""Appends an event to the run's journal; never blocks and never raises."""

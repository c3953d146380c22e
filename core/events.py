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
    "run.resumed",  # {run_id, attempt}: drop the partial answer of the attempt before
    "node.started",  # {node}
    "node.finished",  # {node, ms}
    "intent",  # {intent, confidence}
    "sources",  # {passages: [{marker, chunk_id, document_id, uri, title, section, page, score}]}
    "token",  # {text}
    "citation",  # a core.turn.Citation
    # {message_id, role, content, citations, abstained, finish_reason, cached}
    "message.finished",
    "usage",  # {prompt_tokens, completion_tokens, total_tokens, model: ModelRecord}
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

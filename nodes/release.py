"""Lets an answer leave that has passed the checks: each sentence against what it cites."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from nodes.context import Context
from nodes.gate import AnswerGate, Stretch
from nodes.support import Support, SupportCheck, recorded

_ACTIONS: dict[str, Literal["dropped", "marked", "kept"]] = {
    "drop": "dropped",
    "mark": "marked",
    "keep": "kept",
}


class Release:
    """One answer on its way out. Give it what the gate gives, in order."""

    def __init__(
        self,
        context: Context,
        gate: AnswerGate,
        support: SupportCheck | None,
        *,
        lead: str = "",
    ) -> None:
        """support: None where nothing is claimed.

        lead: goes before the first word, to set it apart from what was said before.
        """
        self._lead = lead
        self._context = context
        self._gate = gate
        self._support = support
        self._held: list[tuple[Stretch, str]] = []  # before the first citation with support
        self.log: list[dict[str, Any]] = []  # each checked sentence, for the turn log
        self.began = False  # something has left

    async def let(self, stretches: Sequence[Stretch]) -> None:
        """Let stretches of the answer leave, which have passed the checks.

        A sentence without support is dropped or marked, as Limits.unsupported says. Where
        sources are cited, what cites none waits for a sentence that does and is supported.
        """
        for stretch in stretches:
            text = await self._supported(stretch, stretch.text)
            if not text:
                continue
            if self._support is not None and not stretch.markers and not self._gate.citations:
                self._held.append((stretch, text))
                continue
            waiting, self._held = self._held, []
            for one, said in [*waiting, (stretch, text)]:
                self._emit(one, said)

    def _emit(self, stretch: Stretch, text: str) -> None:
        citations = self._gate.release(stretch, text)
        self._context.emit("token", {"text": text if self.began else self._lead + text})
        self.began = True
        for citation in citations:
            self._context.emit("citation", dict(citation))

    async def _supported(self, stretch: Stretch, text: str) -> str:
        """Return what may leave of a sentence: all, all with a mark, or nothing."""
        if self._support is None or stretch.is_code or not text.strip():
            return text
        support = await self._support.check(text, stretch.markers)
        policy = self._context.limits.unsupported
        action = "kept" if support.supported else _ACTIONS[policy]
        self._count(support, action)
        self.log.append(recorded(text, stretch.markers, support, action))
        if action == "dropped":
            return ""
        if action == "marked":
            said = text.rstrip()
            return f"{said} {self._context.services.replies.say('unsupported')}{text[len(said) :]}"
        return text

    def _count(self, support: Support, action: str) -> None:
        outcome = "supported" if support.supported else action
        self._context.services.metrics.answer_sentences.labels(outcome).inc()

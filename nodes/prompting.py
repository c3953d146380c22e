"""Puts a turn's question to models: to each as much of it as it takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

from langchain_core.messages import BaseMessage, convert_to_messages

from core.turn import HistoryMessage, Passage, PromptRecord, TurnState
from nodes import calling, masking, screening
from nodes.asking import Answer
from nodes.budget import Fitted, PartLimits, Parts, fit
from nodes.context import Context
from nodes.gate import AnswerGate
from nodes.ladder import Question
from nodes.prompts import Prompt
from nodes.release import Release
from nodes.retrieve import source
from nodes.sampling import parameters
from nodes.support import SupportCheck
from safety.masking import Masks
from tgi.messages import to_wire
from tgi.offline import EmbedderTokens, EstimatedTokens
from tgi.profiles import TGI
from tgi.routing import Choice
from tgi.tokens import Counters

BREAK = "\n\n"  # between what was said before a tool was called and after it
ENOUGH = 1_000_000  # tokens of context where nothing says how many there are


@dataclass(frozen=True, slots=True)
class Asking:
    """What is asked in a turn, before it is known whom."""

    state: TurnState
    context: Context
    prompt: Prompt
    tools: list[dict[str, Any]]
    cites: bool  # the answer has to cite its sources
    mark: str = field(default_factory=lambda: token_hex(4))  # of the fences of this request

    async def tokens(self) -> int:
        """Return about how many tokens prompt and answer have when nothing is cut.

        It decides whom to ask first, so whoever would be asked anyway counts; 0 where there is
        no choice.
        """
        models = self.context.services.models
        if len(models.catalog.models) == 1:
            return 0
        preferred = models.choices(await self.context.wish("answer"))
        name = preferred[0].name if preferred else ""
        output = int(parameters(self.state, self.context)["max_tokens"])
        fitted = await self._fit(name, ENOUGH, output)
        return fitted.prompt_tokens + output

    async def prepare(self, choice: Choice) -> Question:
        """Return the question as a model is asked it; raises PromptTooLong when it cannot be."""
        spec = self.context.services.models.spec(choice.name)
        sampling = parameters(self.state, self.context)
        room = ENOUGH if spec is None else spec.context_tokens
        if spec is not None:
            limits = (spec.max_output_tokens, self.prompt.limits.max_output_tokens, room // 2)
            sampling["max_tokens"] = min(sampling["max_tokens"], *filter(None, limits))
        fitted = await self._fit(choice.name, room, sampling["max_tokens"])
        known = self.state.get("placeholders")
        masks = await masking.towards(choice.name, self.context, known)
        prompt = masked(self._render(fitted.history, fitted.passages), masks)
        messages = calling.conversation(prompt, self.state, self.mark, masks)
        tools = self.tools if choice.level != "degraded" else []  # it quotes, it does not act
        update = TurnState(prompt=prompt, parameters=sampling, budget=fitted.record)
        if fitted.passages != self.state.get("passages", []):
            update["passages"] = fitted.passages
            told = [source(number, one) for number, one in enumerate(fitted.passages, 1)]
            self.context.emit("sources", {"passages": told})
        if placeholders := masks.known:
            update["placeholders"] = placeholders
        return Question(
            messages=messages,
            parameters={**sampling, **calling.offer(tools)},
            answer=self._answer(fitted.passages, masks),
            tokens=fitted.prompt_tokens,
            update=update,
        )

    async def _fit(self, name: str, room: int, output: int) -> Fitted:
        embedder = self.context.services.embedder
        counters = self.context.services.models.counters(name) or Counters(
            EmbedderTokens(embedder), EstimatedTokens(embedder)
        )
        parts = Parts(
            system=self.prompt.system(self.state.get("instructions", "")),
            question=self.state["text"],
            history=self.state.get("history", []),
            passages=self.state.get("passages", []),
            render=self._wire,
            tools=self.tools,
            order=self.context.limits.context_order,
        )
        return await fit(parts, PartLimits(context=room, output=output), counters.tally())

    def _wire(
        self, history: Sequence[HistoryMessage], passages: Sequence[Passage]
    ) -> list[dict[str, Any]]:
        """Return the messages as they go over the wire."""
        messages: list[BaseMessage | tuple[str, str]] = calling.conversation(
            self._render(history, passages), self.state, self.mark
        )
        return to_wire(convert_to_messages(messages), TGI)

    def _render(
        self, history: Sequence[HistoryMessage], passages: Sequence[Passage]
    ) -> PromptRecord:
        return self.prompt.render(
            history,
            instructions=self.state.get("instructions", ""),
            mark=self.mark,
            passages=passages,
            question=self.state["text"],
        )

    def _answer(self, passages: Sequence[Passage], masks: Masks) -> Answer:
        """Return an answer that nothing has been said in."""
        # A task that no tool is for is heard to its first sentence: "I don't know" is not shown.
        listening = bool(self.state.get("acting")) and not self.state.get("steps")
        gate = AnswerGate(passages, must_cite=self.cites, whole_sentences=listening)
        support = SupportCheck(passages, self.context.services.embedder) if self.cites else None
        lead = BREAK if self.state.get("answer", "").strip() else ""
        about = screening.leaving(self.prompt.rules, passages, self.state, self.context)
        safe = self.context.services.guard.leaving(about, restore=masks.answer)
        return Answer(safe, gate, Release(self.context, gate, support, lead=lead), masks)


def masked(prompt: PromptRecord, masks: Masks) -> PromptRecord:
    """Return a prompt without personal data; the system's part is the operator's own."""
    messages = [
        one if one["role"] == "system" else {**one, "content": masks.mask(one["content"])}
        for one in prompt["messages"]
    ]
    return PromptRecord(**{**prompt, "messages": messages})

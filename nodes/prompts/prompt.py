"""One version of one prompt, and what is sent when it is filled in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from jinja2 import Template
from pydantic import Field

from core.files import Closed
from core.turn import HistoryMessage, PromptRecord
from safety.neutral import tokens
from tgi.catalog import Task


class Limits(Closed):
    """What an answer to the prompt may take."""

    max_output_tokens: Annotated[int, Field(ge=1)] | None = None  # None: as the settings say


@dataclass(frozen=True, slots=True)
class Prompt:
    """One version of one prompt."""

    name: str
    version: int
    task: Task
    variables: frozenset[str]  # all of them have to be given
    limits: Limits
    model: str | None  # of the model file, that it was written for; None: any
    text: str  # of the file
    sha256: str  # of the text
    sections: tuple[tuple[str, Template], ...]  # (role, template); the first one is ours

    @property
    def rules(self) -> str:
        """Our own part of the system message: what an answer must not give away."""
        return self.system("")

    def system(self, instructions: str) -> str:
        """Return the system message with an operator's instructions."""
        return self.sections[0][1].render(instructions=instructions).strip()

    def render(self, history: Sequence[HistoryMessage], **variables: Any) -> PromptRecord:
        """Return the messages to send; raises jinja2.UndefinedError for a missing variable."""
        messages: list[dict[str, Any]] = []
        for role, template in self.sections:
            if role == "history":
                messages += [{**one, "content": tokens(one["content"])} for one in history]
            else:
                content = template.render(**variables).strip()
                messages.append({"role": role, "content": content})
        return PromptRecord(
            name=self.name, version=self.version, sha256=self.sha256, messages=messages
        )

"""What the embedded server asks of the model behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

FinishReason: TypeAlias = Literal["stop", "length"]
# "auto" and "none" as in OpenAI's API, "required" for any tool, otherwise the name of one tool.
ToolChoice: TypeAlias = str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that the model wants called; `arguments` fit the tool's JSON schema."""

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model answers: text, or tool calls (at most one, as in TGI), never both.

    With a response schema, `text` is the JSON document itself.
    `finish_reason` is "length" when the model stopped because of `max_tokens`;
    the server cuts longer texts itself, so a model may ignore `max_tokens`.
    """

    text: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: FinishReason = "stop"


class TokenSpan(NamedTuple):
    """One token of a text: its id, its characters, and where they are in the text."""

    id: int
    text: str
    start: int
    stop: int


class Model(Protocol):
    """A model that answers whole; the server streams the answer token by token.

    Both questions raise ValueError, with a sentence for the caller, when they cannot be
    answered as asked (an unknown tool, a schema outside what the model can fill);
    the server turns that into TGI's 422.
    """

    @property
    def name(self) -> str:
        """The model's id, as in /info: "parley-extractive"."""

    @property
    def version(self) -> str:
        """Changes whenever the same question may get another answer."""

    async def chat(
        self,
        messages: Sequence[dict[str, Any]],
        *,
        tools: Sequence[dict[str, Any]] | None = None,
        tool_choice: ToolChoice = "auto",
        response_schema: dict[str, Any] | None = None,
        max_tokens: int | None = None,
    ) -> Reply:
        """Answer a conversation, the same way every time.

        messages: {"role", "content"} with text content; an assistant's message may have
        "tool_calls" instead, as [{"id", "type", "function": {"name", "arguments"}}] where
        `arguments` is an object or a JSON text.
        tools: OpenAI's shape, {"type": "function", "function": {"name", "description",
        "parameters"}}.
        tool_choice: "auto", "none", "required" or the name of a tool.
        response_schema: the answer's text is JSON that fits it.
        """

    async def generate(
        self, prompt: str, *, grammar: dict[str, Any] | None = None, max_tokens: int | None = None
    ) -> Reply:
        """Continue a plain prompt.

        grammar: {"type": "json", "value": schema} or {"type": "regex", "value": pattern};
        a model that cannot fill it raises ValueError.
        """

    def tokens(self, text: str) -> Sequence[TokenSpan]:
        """Return the tokens of `text` in order, without special tokens and without truncation.

        Spans do not overlap; characters between them (white space) belong to no token.
        """

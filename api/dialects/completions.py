"""A chat completion request: what it may say, and what that means for a turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.errors import InvalidInput, UnsupportedParameter
from core.text import accept, storable
from core.turn import HistoryMessage

MAX_STOP_SEQUENCES = 4  # as OpenAI has it
MAX_STOP_CHARACTERS = 256

# What we cannot do, and the values with which a client says that it does not want it.
REFUSED: dict[str, tuple[Any, ...]] = {
    "audio": (),
    "frequency_penalty": (0,),
    "function_call": ("none",),
    "functions": ([],),
    "logit_bias": ({},),
    "logprobs": (False,),
    "modalities": (["text"],),
    "n": (1,),
    "prediction": (),
    "presence_penalty": (0,),
    "reasoning_effort": (),
    "response_format": ({"type": "text"},),
    "service_tier": ("auto", "default"),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "top_logprobs": (0,),
    "verbosity": (),
    "web_search_options": (),
}
# What says nothing about the answer.
HINTS = frozenset(
    {
        "metadata",
        "parallel_tool_calls",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "store",
        "user",
    }
)


class StreamOptions(BaseModel):
    """How a stream is sent."""

    include_usage: bool | None = None


class ChatMessage(BaseModel):
    """A message of the conversation so far."""

    model_config = ConfigDict(strict=True)
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[Any] | None = None


class ChatRequest(BaseModel):
    """OpenAI's chat completion request, and `thread_id` to go on in a stored conversation."""

    model_config = ConfigDict(
        extra="allow",
        strict=True,
        json_schema_extra={
            "examples": [
                {
                    "model": "parley",
                    "messages": [{"role": "user", "content": "How do I restore a backup?"}],
                    "stream": False,
                }
            ]
        },
    )
    model: str = Field(description="An id of GET /v1/models.")
    messages: Annotated[list[ChatMessage], Field(min_length=1)] = Field(
        description="The last one is the question, the ones before it the history."
    )
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    max_tokens: int | None = Field(None, ge=1, le=2**31 - 1)
    max_completion_tokens: int | None = Field(None, ge=1, le=2**31 - 1)
    stop: str | list[str] | None = None
    seed: int | None = Field(None, ge=-(2**63), le=2**63 - 1)
    thread_id: str | None = Field(
        None, description="Ours: go on in this thread; its stored history is used, not the given."
    )


@dataclass(frozen=True, slots=True)
class Conversation:
    """The messages of a request by what they are for."""

    text: str
    instructions: str
    history: list[HistoryMessage]


def check(request: ChatRequest) -> None:
    """Raise UnsupportedParameter for the first thing asked for that we do not have."""
    for name, value in (request.model_extra or {}).items():
        if value is None or name in HINTS:
            continue
        if name not in REFUSED:
            raise UnsupportedParameter(f"There is no parameter `{name}`.", param=name)
        if value not in REFUSED[name]:
            raise UnsupportedParameter(f"`{name}` is not supported.", param=name)
    if request.stream_options is not None and not request.stream:
        raise InvalidInput("`stream_options` needs `stream`.", param="stream_options")


def converse(messages: list[ChatMessage]) -> Conversation:
    """Return the question, the instructions and the history in `messages`.

    Raises InvalidInput, EmptyInput, InputTooLong or UnsupportedParameter, naming the place.
    """
    if messages[-1].role != "user":
        raise InvalidInput("The last message has to be the user's.", param="messages")
    instructions: list[str] = []
    history: list[HistoryMessage] = []
    for index, message in enumerate(messages[:-1]):
        text = _text(message, f"messages[{index}]")
        if message.role in ("system", "developer"):
            instructions.append(text)
        elif text:
            role: Literal["user", "assistant"] = "user" if message.role == "user" else "assistant"
            history.append(HistoryMessage(role=role, content=text, seq=None))
    together = "\n\n".join(text for text in instructions if text.strip())
    if together:
        accept(together, what="system message")
    question = _text(messages[-1], f"messages[{len(messages) - 1}]")
    return Conversation(accept(question), together, history)


def sampling(request: ChatRequest) -> dict[str, Any]:
    """Return the sampling parameters that were given."""
    wanted = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "max_tokens": request.max_completion_tokens or request.max_tokens,
        "stop": _stops(request.stop),
        "seed": request.seed,
    }
    return {name: value for name, value in wanted.items() if value is not None}


def _text(message: ChatMessage, where: str) -> str:
    if message.role in ("tool", "function"):
        raise UnsupportedParameter("Tool messages are not supported.", param=f"{where}.role")
    if message.tool_calls:
        raise UnsupportedParameter("Tool calls are not supported.", param=f"{where}.tool_calls")
    if message.content is None:
        return ""
    if isinstance(message.content, str):
        return storable(message.content, what="message")
    texts: list[str] = []
    for index, part in enumerate(message.content):
        place = f"{where}.content[{index}]"
        if part.get("type") not in ("text", "refusal"):
            raise UnsupportedParameter("Only text is supported.", param=f"{place}.type")
        text = part.get(part["type"])
        if not isinstance(text, str):
            raise InvalidInput(f"{place}.text is not a string.", param=f"{place}.text")
        texts.append(storable(text, what="message"))
    return "\n".join(texts)


def _stops(stop: str | list[str] | None) -> list[str] | None:
    stops = [stop] if isinstance(stop, str) else stop
    if not stops:
        return None
    if len(stops) > MAX_STOP_SEQUENCES:
        raise InvalidInput(f"At most {MAX_STOP_SEQUENCES} stop sequences.", param="stop")
    for text in stops:
        if not text or len(text) > MAX_STOP_CHARACTERS:
            raise InvalidInput(
                f"A stop sequence has 1 to {MAX_STOP_CHARACTERS} characters.", param="stop"
            )
        storable(text, what="stop sequence")
    return stops

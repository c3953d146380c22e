"""What clients may send: the requests of TGI's routes, read as strictly as TGI reads them.

Wrong types are refused here with plain text; values out of bounds are `bounds.check`'s matter.
Source: the OpenAPI description of TGI 3.3.6 and its recorded answers.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

import orjson
from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from starlette.requests import Request

from tgi.embedded.failures import Refused

Body = TypeVar("Body", bound="Wire")
Unsigned = Annotated[int, Field(ge=0)]


class Wire(BaseModel):
    """Base of the request bodies: no coercion, unknown keys are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore")


class JsonSchema(Wire):
    """A schema under a name, as the value of `json_schema`."""

    name: str | None = None
    schema_: Any = Field(alias="schema")


class Grammar(Wire):
    """What the answer must look like."""

    type: Literal["json", "json_object", "json_schema", "regex"]
    value: Any

    @model_validator(mode="after")
    def _value_fits(self) -> Grammar:
        if self.type == "json_schema":
            JsonSchema.model_validate(self.value)
        elif self.type == "regex" and not isinstance(self.value, str):
            raise ValueError("expected a string")
        return self


class Parameters(Wire):
    """How /generate should generate."""

    best_of: Unsigned | None = None
    temperature: float | None = None
    repetition_penalty: float | None = None
    frequency_penalty: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    typical_p: float | None = None
    do_sample: bool = False
    max_new_tokens: Unsigned | None = None
    return_full_text: bool | None = None
    stop: list[str] = Field(default_factory=list)
    truncate: Unsigned | None = None
    watermark: bool = False
    details: bool = False
    decoder_input_details: bool = False
    seed: Unsigned | None = None
    top_n_tokens: Unsigned | None = None
    grammar: Grammar | None = None
    adapter_id: str | None = None


class GenerateRequest(Wire):
    """POST /generate, /generate_stream, /tokenize and, with `stream`, /."""

    inputs: str
    parameters: Parameters = Field(default_factory=Parameters)
    stream: bool = False

    @model_validator(mode="before")
    @classmethod
    def _absent_parameters(cls, data: Any) -> Any:
        # The text-generation client writes "parameters": null when there are none.
        if isinstance(data, dict) and data.get("parameters", ...) is None:
            return {key: value for key, value in data.items() if key != "parameters"}
        return data


class Url(Wire):
    """Where an image is."""

    url: str


class MessageChunk(Wire):
    """A part of a message."""

    type: Literal["text", "image_url"]
    text: str | None = None
    image_url: Url | None = None


class FunctionDefinition(Wire):
    """A tool's function (`parameters`) or a call of it (`arguments`); TGI takes both names."""

    name: str
    description: str | None = None
    arguments: Any = Field(validation_alias=AliasChoices("arguments", "parameters"))


class Tool(Wire):
    """A tool that the model may call, or has called."""

    type: str = "function"
    id: str | None = None
    function: FunctionDefinition


class Message(Wire):
    """A message of the conversation.

    Content wins: a string, even an empty one, drops the tool calls beside it.
    """

    role: str
    content: str | list[MessageChunk] | None = None
    tool_calls: list[Tool] | None = None
    name: str | None = None

    @model_validator(mode="after")
    def _content_or_calls(self) -> Message:
        if self.content is not None:
            self.tool_calls = None
        elif self.tool_calls is None:
            raise ValueError("data did not match any variant of untagged enum MessageBody")
        return self


class StreamOptions(Wire):
    """What a chat stream tells beside the tokens."""

    include_usage: bool = False


class FunctionName(Wire):
    """The name of a tool."""

    name: str


class NamedTool(Wire):
    """A choice of one tool."""

    function: FunctionName


def _choice(value: Any) -> Any:
    """Return a tool choice as a string: what TGI takes for a name is a name here too."""
    if value is None:
        return "auto"
    if isinstance(value, dict):
        return NamedTool.model_validate(value).function.name
    return value


class ChatRequest(Wire):
    """POST /v1/chat/completions and /chat_tokenize."""

    messages: list[Message]
    model: str | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: list[float] | None = None
    logprobs: bool | None = None
    top_logprobs: Unsigned | None = None
    max_tokens: Unsigned | None = Field(
        None, validation_alias=AliasChoices("max_tokens", "max_completion_tokens")
    )
    n: Unsigned | None = None
    stop: list[str] | None = None
    stream: bool = False
    stream_options: StreamOptions = Field(default_factory=StreamOptions)
    seed: Unsigned | None = None
    temperature: float | None = None
    top_p: float | None = None
    tools: list[Tool] | None = None
    tool_prompt: str | None = None
    tool_choice: Annotated[str, BeforeValidator(_choice)] = "auto"
    response_format: Grammar | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_limit(cls, data: Any) -> Any:
        if isinstance(data, dict) and {"max_tokens", "max_completion_tokens"} <= data.keys():
            raise ValueError("duplicate field `max_tokens`")
        return data


class CompletionRequest(Wire):
    """POST /v1/completions."""

    prompt: Annotated[list[str], BeforeValidator(lambda p: [p] if isinstance(p, str) else p)]
    model: str | None = None
    max_tokens: Unsigned | None = None
    seed: Unsigned | None = None
    temperature: float | None = None
    top_p: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    stop: list[str] | None = None
    stream: bool = False
    suffix: str | None = None


async def read(request: Request, *, limit_bytes: int) -> Any:
    """Return the JSON of a request; raises Refused with TGI's status and plain text."""
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
        raise Refused(415, "Expected request with `Content-Type: application/json`")
    raw = bytearray()
    async for part in request.stream():
        raw += part
        if len(raw) > limit_bytes:
            raise Refused(413, "Failed to buffer the request body: length limit exceeded")
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Refused(400, f"Failed to parse the request body as JSON: {error}") from error


def parse(schema: type[Body], data: Any) -> Body:
    """Return `data` as a request of this kind; raises Refused naming the first wrong key."""
    try:
        return schema.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Refused(
            422,
            "Failed to deserialize the JSON body into the target type: "
            f"{where + ': ' if where else ''}{first['msg']}",
        ) from error

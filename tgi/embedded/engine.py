"""From a request to an answer: a slot, TGI's checks, the model, the cut into tokens."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import orjson

from core.errors import ParleyError
from tgi.embedded.batch import Batch, Slot
from tgi.embedded.bounds import Limits, check, constraint, new_tokens
from tgi.embedded.failures import Broken, Invalid, Overloaded, ToolError
from tgi.embedded.faults import Timing
from tgi.embedded.metrics import Metrics
from tgi.embedded.model import Model, Reply, TokenSpan, ToolCall
from tgi.embedded.pieces import Generated, cut
from tgi.embedded.wire import ChatRequest, GenerateRequest, Message, Parameters, Tool

LOG = logging.getLogger(__name__)


class Prompt(NamedTuple):
    """What is put to the model, as text and as tokens."""

    text: str
    spans: Sequence[TokenSpan]
    room: int  # tokens that may be generated


class Answer(NamedTuple):
    """One answer and what a response may tell about it."""

    generated: Generated  # with a call: the JSON of its arguments
    prompt: Prompt
    call: ToolCall | None
    generated_tokens: int  # the end token and a called tool's name count, as in TGI

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the prompt after the chat template."""
        return len(self.prompt.spans)


class Engine:
    """Answers requests with one model, a bounded number at a time.

    `chat` and `generate` raise InferError and take the `slot()` that they are called in,
    which is held until the last byte is sent.
    """

    def __init__(self, model: Model, limits: Limits, timing: Timing) -> None:
        self.model = model
        self.limits = limits
        self.metrics = Metrics()
        self.batch = Batch(timing.batch)
        self._timing = timing

    @property
    def timing(self) -> Timing:
        """How fast it is; setting it changes that from the next request on."""
        return self._timing

    @timing.setter
    def timing(self, timing: Timing) -> None:
        self._timing = timing
        self.batch.resize(timing.batch)

    @contextmanager
    def slot(self) -> Iterator[Slot]:
        """Let a request in; raises Overloaded when there are too many, like TGI at once."""
        began = time.perf_counter()
        if self._is_overloaded():
            raise Overloaded
        slot = Slot(self.batch)
        try:
            yield slot
        finally:
            slot.leave()
        self.metrics.succeeded(time.perf_counter() - began)

    async def chat(self, request: ChatRequest, slot: Slot) -> Answer:
        """Return the answer to a conversation."""
        tools, choice = offered(request)
        parameters = sampling(request)
        prompt = self._admit(template(request.messages, tools), parameters, stream=request.stream)
        grammar = constraint(parameters.grammar)
        await self._begin(prompt, slot)
        if grammar is not None and grammar["type"] == "regex":  # only `generate` takes one
            question = self.model.generate(prompt.text, grammar=grammar, max_tokens=prompt.room)
        else:
            question = self.model.chat(
                [plain(message) for message in request.messages],
                tools=tools,
                tool_choice=choice,
                response_schema=grammar["value"] if grammar else None,
                max_tokens=prompt.room,
            )
        return await self._answer(question, prompt, parameters.stop, slot, stream=request.stream)

    async def generate(self, request: GenerateRequest, slot: Slot, *, stream: bool) -> Answer:
        """Return the continuation of a prompt."""
        parameters = request.parameters
        text = request.inputs
        if parameters.truncate and (tail := self.model.tokens(text)[-parameters.truncate :]):
            text = text[tail[0][2] :]
        prompt = self._admit(text, parameters, stream=stream)
        grammar = constraint(parameters.grammar)
        await self._begin(prompt, slot)
        question = self.model.generate(prompt.text, grammar=grammar, max_tokens=prompt.room)
        return await self._answer(question, prompt, parameters.stop, slot, stream=stream)

    def _is_overloaded(self) -> bool:
        queue = self._timing.queue
        if queue is not None and self.batch.is_full and self.batch.waiting >= queue:
            return True
        return self.batch.running + self.batch.waiting >= self.limits.max_concurrent_requests

    def _admit(self, text: str, parameters: Parameters, *, stream: bool) -> Prompt:
        check(parameters, self.limits, inputs=text, stream=stream)
        spans = self.model.tokens(text)
        room = new_tokens(parameters.max_new_tokens, self.limits, prompt_tokens=len(spans))
        return Prompt(text, spans, room)

    async def _begin(self, prompt: Prompt, slot: Slot) -> None:
        """Wait for a place in the batch, and for as long as reading the prompt takes."""
        await slot.enter()
        if self._timing.prefill_ms:
            await asyncio.sleep(self._timing.prefill_ms / 1000 * len(prompt.spans) / 1000)

    async def _answer(
        self,
        question: Awaitable[Reply],
        prompt: Prompt,
        stop: Sequence[str],
        slot: Slot,
        *,
        stream: bool,
    ) -> Answer:
        began = time.perf_counter()
        try:
            reply = await question
        except ValueError as error:
            raise Invalid(str(error)) from error
        except ParleyError as error:
            LOG.warning("the model failed: %s", error.code)
            raise Broken(error.message) from error
        call = reply.tool_calls[0] if reply.tool_calls else None  # one call per answer, as in TGI
        text = (reply.text or "") if call is None else orjson.dumps(call.arguments).decode()
        generated = cut(
            text,
            self.model.tokens(text),
            max_tokens=prompt.room,
            stop=stop if call is None else (),
            cut_short=reply.finish_reason == "length",
        )
        name_tokens = 0 if call is None else len(self.model.tokens(call.name))
        answer = Answer(generated, prompt, call, len(generated.pieces) + name_tokens)
        if self._timing.tokens_per_second and not stream:  # a stream waits before each of them
            await asyncio.sleep(answer.generated_tokens * self._timing.token_seconds)
        self.metrics.generated(
            seconds=time.perf_counter() - began,
            waited_seconds=slot.waited_seconds,
            tokens=answer.generated_tokens,
            prompt_tokens=answer.prompt_tokens,
        )
        return answer


def offered(request: ChatRequest) -> tuple[list[dict[str, Any]] | None, str]:
    """Return the tools that the model may call and the choice among them; raises ToolError.

    Of a tool's parameters only `properties` and `required` survive, as in TGI.
    """
    if request.tools and request.response_format is not None:
        raise ToolError("Grammar and tools are mutually exclusive")
    if not request.tools or request.tool_choice == "none":
        return None, "none"
    names = {tool.function.name for tool in request.tools}
    if request.tool_choice not in names | {"auto", "required"}:
        raise ToolError(f"Tool with name {request.tool_choice} not found")
    return [_tool(tool) for tool in request.tools], request.tool_choice


def sampling(request: ChatRequest) -> Parameters:
    """Return a chat's parameters as /generate's; temperature 0 means greedy, as in TGI."""
    penalty = request.presence_penalty
    return Parameters(
        temperature=request.temperature or None,
        repetition_penalty=None if penalty is None else penalty + 2.0,
        frequency_penalty=request.frequency_penalty,
        top_p=request.top_p,
        top_n_tokens=request.top_logprobs,
        max_new_tokens=request.max_tokens,
        stop=request.stop or [],
        seed=request.seed,
        grammar=request.response_format,
    )


def template(messages: Sequence[Message], tools: Sequence[dict[str, Any]] | None) -> str:
    """Return the conversation as one text: what /chat_tokenize shows and usage counts."""
    head = [f"tools: {orjson.dumps(tools).decode()}"] if tools else []
    turns = []
    for message in messages:
        said = plain(message)
        content = said.get("content")
        turns.append(
            f"{message.role}: "
            + (content if content is not None else orjson.dumps(said["tool_calls"]).decode())
        )
    return "\n".join([*head, *turns, "assistant:"])


def plain(message: Message) -> dict[str, Any]:
    """Return a message as the model takes it; raises Invalid for images."""
    said: dict[str, Any] = {"role": message.role}
    if message.name is not None:
        said["name"] = message.name
    if message.content is None:
        said["tool_calls"] = [
            {
                "id": call.id,
                "type": call.type,
                "function": {"name": call.function.name, "arguments": call.function.arguments},
            }
            for call in message.tool_calls or ()
        ]
    elif isinstance(message.content, str):
        said["content"] = message.content
    else:
        if any(chunk.type != "text" for chunk in message.content):
            raise Invalid("image modality is not supported")
        said["content"] = "".join(chunk.text or "" for chunk in message.content)
    return said


def _tool(tool: Tool) -> dict[str, Any]:
    schema = tool.function.arguments if isinstance(tool.function.arguments, dict) else {}
    return {
        "type": "function",
        "function": {
            "name": tool.function.name,
            "description": tool.function.description or "",
            "parameters": {
                "type": "object",
                "properties": schema.get("properties", {}),
                "required": schema.get("required", []),
            },
        },
    }

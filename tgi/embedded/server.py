"""TGI's routes over a model of ours, as an ASGI app.

It says `parley-extractive` wherever TGI says which model and server answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from itertools import islice
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from tgi.embedded import frames
from tgi.embedded.batch import Slot
from tgi.embedded.bounds import Limits
from tgi.embedded.engine import Answer, Engine, offered, template
from tgi.embedded.failures import InferError, Invalid, Refused
from tgi.embedded.faults import Faults, Timing
from tgi.embedded.misbehaving import Misbehaving
from tgi.embedded.model import Model
from tgi.embedded.wire import (
    ChatRequest,
    CompletionRequest,
    GenerateRequest,
    Parameters,
    parse,
    read,
)

FRAMES_AT_ONCE = 16  # without a pace, frames share a write: 64 writes cost more than the answer
COMPUTE = {"x-compute-type": "cpu"}


def create_app(
    model: Model,
    *,
    limits: Limits | None = None,
    timing: Timing | None = None,
    faults: Faults | None = None,
    control: bool = False,
) -> ASGIApp:
    """Return the server of `model`, to be run as tgi/embedded/serve.py configures it.

    timing, faults: by default it answers as fast as it is read, and well.
    control: timing and faults can be changed at /faults while it runs.
    """
    engine = Engine(model, limits or Limits(), timing or Timing())
    server = Server(engine)
    app = Starlette(
        routes=[
            Route("/health", server.health),
            Route("/ping", server.health),
            Route("/info", server.info),
            Route("/metrics", server.metrics),
            Route("/v1/models", server.models),
            Route("/", server.compatible, methods=["POST"]),
            Route("/generate", server.generate, methods=["POST"]),
            Route("/generate_stream", server.generate_stream, methods=["POST"]),
            Route("/invocations", server.invocations, methods=["POST"]),
            Route("/v1/chat/completions", server.chat, methods=["POST"]),
            Route("/v1/completions", server.completions, methods=["POST"]),
            Route("/tokenize", server.tokenize, methods=["POST"]),
            Route("/chat_tokenize", server.chat_tokenize, methods=["POST"]),
        ],
        exception_handlers={Refused: _refused, InferError: server.failed},
    )
    return (
        Misbehaving(app, engine, faults or Faults(), control=control) if faults or control else app
    )


class Json(Response):
    """A JSON body."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return the body as bytes."""
        return orjson.dumps(content)


class Server:
    """The handlers of the routes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        model = engine.model
        self._naming = frames.Naming(model.name, f"{model.name}-{model.version}")

    async def health(self, _: Request) -> Response:
        """Say that the server is up."""
        return Response()

    async def info(self, _: Request) -> Response:
        """Say which model and server this is, and its limits."""
        model, limits = self._engine.model, self._engine.limits
        return Json(
            {
                "model_id": model.name,
                "model_sha": model.version,
                "model_pipeline_tag": "text-generation",
                "max_concurrent_requests": limits.max_concurrent_requests,
                "max_best_of": limits.max_best_of,
                "max_stop_sequences": limits.max_stop_sequences,
                "max_input_tokens": limits.max_input_tokens,
                "max_total_tokens": limits.max_total_tokens,
                "validation_workers": 1,
                "max_client_batch_size": limits.max_client_batch_size,
                "router": model.name,
                "version": model.version,
                "sha": None,
                "docker_label": None,
            }
        )

    async def metrics(self, _: Request) -> Response:
        """Return the metrics in Prometheus's text format."""
        batch = self._engine.batch
        text = self._engine.metrics.text(running=batch.running, waiting=batch.waiting)
        return PlainTextResponse(text)

    async def models(self, _: Request) -> Response:
        """List the one model."""
        name = self._engine.model.name
        entry = {"id": name, "object": "model", "created": 0, "owned_by": name}
        return Json({"object": "list", "data": [entry]})

    async def generate(self, request: Request) -> Response:
        """Continue a prompt."""
        wanted = parse(GenerateRequest, await self._read(request))
        return Json(await self._generated(wanted), headers=COMPUTE)

    async def generate_stream(self, request: Request) -> Response:
        """Continue a prompt, token by token."""
        return self._generated_stream(parse(GenerateRequest, await self._read(request)))

    async def compatible(self, request: Request) -> Response:
        """Continue a prompt; `stream` says how, and a whole answer comes in a list."""
        return await self._compatible(await self._read(request))

    async def chat(self, request: Request) -> Response:
        """Answer a conversation."""
        return await self._chat(parse(ChatRequest, await self._read(request)))

    async def completions(self, request: Request) -> Response:
        """Continue one or several prompts."""
        return await self._completions(parse(CompletionRequest, await self._read(request)))

    async def invocations(self, request: Request) -> Response:
        """Do what the body is for: chat, completions or generate."""
        data = await self._read(request)
        if isinstance(data, dict) and "messages" in data:
            return await self._chat(parse(ChatRequest, data))
        if isinstance(data, dict) and "prompt" in data:
            return await self._completions(parse(CompletionRequest, data))
        return await self._compatible(data)

    async def tokenize(self, request: Request) -> Response:
        """Return the tokens of a text."""
        return Json(self._tokens(parse(GenerateRequest, await self._read(request)).inputs))

    async def chat_tokenize(self, request: Request) -> Response:
        """Return a conversation as the one text that is counted, and its tokens."""
        chat = parse(ChatRequest, await self._read(request))
        text = template(chat.messages, offered(chat)[0])
        return Json({"tokenize_response": self._tokens(text), "templated_text": text})

    async def failed(self, _: Request, error: Exception) -> Response:
        """Return the JSON body of an InferError."""
        assert isinstance(error, InferError)
        self._engine.metrics.failed(error.counted_as)
        return Json(error.body(), status_code=error.status)

    async def _read(self, request: Request) -> Any:
        data = await read(request, limit_bytes=self._engine.limits.max_body_bytes)
        self._engine.metrics.asked()
        return data

    async def _compatible(self, data: Any) -> Response:
        request = parse(GenerateRequest, data)
        if request.stream:
            return self._generated_stream(request)
        return Json([await self._generated(request)])

    async def _generated(self, request: GenerateRequest) -> dict[str, Any]:
        with self._engine.slot() as slot:
            answer = await self._engine.generate(request, slot, stream=False)
            return frames.generated(answer, request)

    def _generated_stream(self, request: GenerateRequest) -> Response:
        async def events(slot: Slot) -> Iterator[bytes]:
            answer = await self._engine.generate(request, slot, stream=True)
            return frames.generated_events(answer, request)

        return self._stream(events, failure=InferError.body, done=b"")

    async def _chat(self, request: ChatRequest) -> Response:
        offered(request)  # a wrong set of tools is refused before a stream begins
        if not request.stream:
            with self._engine.slot() as slot:
                answer = await self._engine.chat(request, slot)
                return Json(frames.chat(answer, request, self._naming), headers=COMPUTE)

        async def events(slot: Slot) -> Iterator[bytes]:
            answer = await self._engine.chat(request, slot)
            return frames.chat_events(answer, request, self._naming)

        return self._stream(events, failure=InferError.event, done=frames.DONE)

    async def _completions(self, request: CompletionRequest) -> Response:
        if request.suffix is not None:
            raise Invalid("`suffix` is not supported")
        if not 0 < len(request.prompt) <= self._engine.limits.max_client_batch_size:
            raise Invalid(
                "Number of prompts exceeds the maximum allowed batch size of "
                f"{self._engine.limits.max_client_batch_size}"
            )

        async def answers(slot: Slot) -> list[Answer]:
            stream = request.stream
            return [await self._engine.generate(p, slot, stream=stream) for p in _parts(request)]

        if not request.stream:
            with self._engine.slot() as slot:
                return Json(frames.completion(await answers(slot), self._naming))

        async def events(slot: Slot) -> Iterator[bytes]:
            return frames.completion_events(await answers(slot), self._naming)

        return self._stream(events, failure=InferError.event, done=frames.DONE)

    def _tokens(self, text: str) -> list[dict[str, Any]]:
        return [
            {"id": token, "text": part, "start": start, "stop": stop}
            for token, part, start, stop in self._engine.model.tokens(text)
        ]

    def _stream(
        self,
        events: Callable[[Slot], Awaitable[Iterator[bytes]]],
        *,
        failure: Callable[[InferError], dict[str, Any]],
        done: bytes,
    ) -> Response:
        """Return a stream; as in TGI its status is 200 even when the answer is a failure."""

        async def body() -> AsyncIterator[bytes]:
            try:
                with self._engine.slot() as slot:
                    async for batch in self._paced(await events(slot)):
                        yield batch
            except InferError as error:
                self._engine.metrics.failed(error.counted_as)
                yield frames.event(failure(error))
            if done:
                yield done

        headers = {"cache-control": "no-cache", "x-accel-buffering": "no", **COMPUTE}
        return StreamingResponse(body(), media_type="text/event-stream", headers=headers)

    async def _paced(self, events: Iterator[bytes]) -> AsyncIterator[bytes]:
        """Yield events in groups, or one by one when they are to come slowly."""
        pause = self._engine.timing.token_seconds
        if not pause:
            while batch := b"".join(islice(events, FRAMES_AT_ONCE)):
                yield batch
            return
        loop = asyncio.get_running_loop()
        due = loop.time()
        for event in events:
            due += pause  # of the clock: what a sleep takes too long does not add up
            await asyncio.sleep(due - loop.time())
            yield event


def _parts(request: CompletionRequest) -> list[GenerateRequest]:
    """Return a text completion as one request to /generate per prompt."""
    parameters = Parameters(
        temperature=request.temperature or None,
        repetition_penalty=request.repetition_penalty,
        frequency_penalty=request.frequency_penalty,
        top_p=request.top_p,
        max_new_tokens=request.max_tokens,
        stop=request.stop or [],
        seed=request.seed,
    )
    return [GenerateRequest(inputs=prompt, parameters=parameters) for prompt in request.prompt]


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return PlainTextResponse(error.text, status_code=error.status)

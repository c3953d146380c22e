"""What the chat model makes of a server that fails, in each way that servers fail."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from langchain_core.messages import AIMessageChunk

from core.errors import (
    ModelError,
    ModelOverloaded,
    ModelRejected,
    ModelTimeout,
    ModelUnavailable,
    StreamCut,
)
from core.settings import ModelSettings
from core.text import storable
from tests.tgi.faulty import Behaviour, Exchange, faulty
from tgi.chat_model import TgiChatModel, connect

PATIENT = ModelSettings(_env_file=None)
HASTY = ModelSettings(_env_file=None, first_token_timeout_seconds=0.05)
RESTLESS = ModelSettings(_env_file=None, idle_timeout_seconds=0.05)


@asynccontextmanager
async def _model(
    behave: Behaviour, settings: ModelSettings = PATIENT
) -> AsyncIterator[TgiChatModel]:
    async with faulty(behave) as url, connect(settings, url=url) as model:
        yield model


async def _text(model: TgiChatModel, said: list[str]) -> None:
    async for chunk in model.astream("?"):
        said.append(str(chunk.content))


async def _fails(behave: Behaviour, error: type[ModelError], **kwargs: ModelSettings) -> str:
    """Return what was said before the stream failed as expected."""
    said: list[str] = []
    async with _model(behave, **kwargs) as model:
        with pytest.raises(error) as caught:
            await _text(model, said)
    assert type(caught.value) is error
    return "".join(said)


async def test_refused() -> None:
    """A closed port is ModelUnavailable, and the hint names the setting."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    async with connect(PATIENT, url=url) as model:
        with pytest.raises(ModelUnavailable) as caught:
            await model.ainvoke("?")
    assert "MODEL_URL" in str(caught.value.hint)


async def test_no_address() -> None:
    """A MODEL_URL that is no URL is ModelUnavailable too."""
    async with connect(PATIENT, url="localhost:8080") as model:
        with pytest.raises(ModelUnavailable):
            await model.ainvoke("?")


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (429, b'{"error":"Model is overloaded","error_type":"overloaded"}', ModelOverloaded),
        (400, b"Failed to parse the request body as JSON", ModelRejected),
        (401, b"", ModelRejected),
        (404, b"<html>", ModelRejected),
        (422, b'{"error":"Input validation error","error_type":"validation"}', ModelRejected),
        (424, b'{"error":"Request failed during generation"}', ModelUnavailable),
        (500, b'{"error":"Incomplete generation"}', ModelUnavailable),
        (502, b"<html>Bad Gateway</html>", ModelUnavailable),
        (503, b"", ModelUnavailable),
        (504, b"", ModelTimeout),
    ],
)
async def test_statuses(status: int, body: bytes, error: type[ModelError], streamed: bool) -> None:
    """Each HTTP status is the error that says what to do about it."""

    async def behave(exchange: Exchange) -> None:
        await exchange.answer(status, body)

    async with _model(behave) as model:
        with pytest.raises(ModelError) as caught:
            await (_text(model, []) if streamed else model.ainvoke("?"))
    assert type(caught.value) is error
    assert "<" not in caught.value.message


async def test_openai_errors_are_read() -> None:
    """The sentence inside OpenAI's error object is shown, not the object."""

    async def behave(exchange: Exchange) -> None:
        await exchange.answer(400, b'{"error":{"message":"too long","type":"x"}}')

    async with _model(behave) as model:
        with pytest.raises(ModelRejected, match="answered 400: too long"):
            await model.ainvoke("?")


async def test_hang_before_the_first_token() -> None:
    """No answer at all within the first-token timeout is ModelTimeout."""

    async def behave(exchange: Exchange) -> None:
        await exchange.gone()

    assert await _fails(behave, ModelTimeout, settings=HASTY) == ""


async def test_headers_without_a_token() -> None:
    """Headers and keep-alive comments are no token: the first-token timeout goes on."""

    async def behave(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.data(b":\n\n")
        await exchange.gone()

    assert await _fails(behave, ModelTimeout, settings=HASTY) == ""


async def test_stall_in_the_middle() -> None:
    """Silence for longer than the idle timeout is ModelTimeout, after what was said."""

    async def behave(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.token("Once")
        await exchange.data(b":\n\n")
        await exchange.gone()

    assert await _fails(behave, ModelTimeout, settings=RESTLESS) == "Once"


async def test_connection_lost_in_the_middle() -> None:
    """A connection that closes inside a stream is StreamCut."""

    async def behave(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.token("Once")

    assert await _fails(behave, StreamCut) == "Once"


async def test_stream_without_its_end() -> None:
    """A stream that ends in good order without [DONE] or usage is StreamCut."""

    async def behave(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.token("Once")
        await exchange.end()

    assert await _fails(behave, StreamCut) == "Once"


async def test_done_without_a_reason() -> None:
    """[DONE] alone completes nothing: no finish reason, no usage, no call is StreamCut."""

    async def behave(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.token("Once")
        await exchange.data(b"data: [DONE]\n\n")
        await exchange.end()

    assert await _fails(behave, StreamCut) == "Once"


async def test_half_a_call() -> None:
    """A call whose arguments break off is StreamCut, [DONE] or not."""

    async def behave(exchange: Exchange) -> None:
        await exchange.begin()
        function = {"name": "weather", "arguments": '{"city":"War'}
        call = {"index": 0, "id": "0", "type": "function", "function": function}
        delta = {"role": "assistant", "tool_calls": [call]}
        await exchange.event({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        await exchange.data(b"data: [DONE]\n\n")
        await exchange.end()

    await _fails(behave, StreamCut)


@pytest.mark.parametrize("frame", [b"{", b"[]", b'{"choices":[{}]}', b'{"choices":3}'])
async def test_frames_that_are_none(frame: bytes) -> None:
    """A frame that is no JSON, or not the JSON of a frame, is StreamCut."""

    async def behave(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.token("Once")
        await exchange.data(b"data: " + frame + b"\n\n")
        await exchange.gone()

    assert await _fails(behave, StreamCut) in {"", "Once"}  # they may arrive together


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ({"error": {"message": "Model is overloaded", "http_status_code": 422}}, ModelOverloaded),
        (
            {"error": {"message": "Input validation error: x", "http_status_code": 422}},
            ModelRejected,
        ),
        (
            {
                "error": {
                    "message": "Request failed during generation: x",
                    "http_status_code": 422,
                }
            },
            ModelUnavailable,
        ),
        (
            {"error": "Incomplete generation", "error_type": "incomplete_generation"},
            ModelUnavailable,
        ),
        ({"error": "Model is overloaded", "error_type": "overloaded"}, ModelOverloaded),
        ({"error": {"message": "no", "type": "x", "code": 400}}, ModelRejected),
        ({"error": {"message": "oh", "code": 500}}, ModelUnavailable),
        ({"error": "oh"}, ModelUnavailable),
    ],
)
async def test_errors_inside_a_stream(event: dict[str, object], error: type[ModelError]) -> None:
    """An error event is the error its words name; TGI calls them all 422."""

    async def behave(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.event(event)
        await exchange.data(b"data: [DONE]\n\n")
        await exchange.end()

    await _fails(behave, error)


async def test_a_page_instead_of_a_stream() -> None:
    """A 200 that is no event stream, such as a login page, is ModelUnavailable."""

    async def behave(exchange: Exchange) -> None:
        await exchange.answer(200, b"<html>", "text/html")

    await _fails(behave, ModelUnavailable)


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"choices":[]}', b"[]"])
async def test_whole_answers_that_are_none(body: bytes) -> None:
    """A whole answer that is no JSON, or of an unknown shape, is ModelUnavailable."""

    async def behave(exchange: Exchange) -> None:
        await exchange.answer(200, body)

    async with _model(behave) as model:
        with pytest.raises(ModelUnavailable):
            await model.ainvoke("?")


async def test_half_a_whole_answer() -> None:
    """A whole answer that breaks off is StreamCut."""

    async def behave(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{")

    async with _model(behave) as model:
        with pytest.raises(StreamCut):
            await model.ainvoke("?")


async def test_a_dead_connection_is_replaced_once() -> None:
    """A connection that closes before a single byte is tried once more, and only once."""
    tries = 0

    async def behave(exchange: Exchange) -> None:
        nonlocal tries
        tries += 1
        if tries == 2:
            await exchange.begin()
            await exchange.token("Back", "stop")
            await exchange.data(b"data: [DONE]\n\n")
            await exchange.end()

    async with _model(behave) as model:
        chunks = [chunk async for chunk in model.astream("?")]
        assert chunks[0].content == "Back"
        tries = 5
        with pytest.raises(ModelUnavailable):
            await _text(model, [])
    assert tries == 7


async def test_cancellation_closes_the_stream() -> None:
    """When the consuming task is cancelled the server sees the connection close at once."""
    gone = asyncio.Event()
    begun = asyncio.Event()

    async def behave(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.token("Once")
        await exchange.gone()
        gone.set()

    async def consume(model: TgiChatModel) -> None:
        async for _ in model.astream("?"):
            begun.set()

    async with _model(behave) as model:
        task = asyncio.create_task(consume(model))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(10):
            await gone.wait()


async def test_leaving_the_loop_closes_the_stream() -> None:
    """A consumer that stops reading early leaves no connection behind."""
    gone = asyncio.Event()

    async def behave(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.token("Once")
        await exchange.gone()
        gone.set()

    async with _model(behave) as model:
        async for chunk in model.astream("?"):
            assert isinstance(chunk, AIMessageChunk)
            break
        async with asyncio.timeout(10):
            await gone.wait()


async def test_frames_cut_anywhere() -> None:
    """The network may cut the bytes of a stream anywhere, also inside a character."""
    body = (
        'data: {"choices":[{"delta":{"role":"assistant","content":"Żółw"},'
        '"finish_reason":"stop"}]}\r\n\r\n: ping\n\ndata: [DONE]\n\n'
    ).encode()

    async def behave(exchange: Exchange) -> None:
        await exchange.begin()
        for index in range(len(body)):
            await exchange.data(body[index : index + 1])
        await exchange.end()

    said: list[str] = []
    async with _model(behave) as model:
        await _text(model, said)
    assert "".join(said) == "Żółw"


async def test_text_is_scrubbed() -> None:
    """What Postgres cannot store, NUL and lone surrogates, does not arrive."""

    async def behave(exchange: Exchange) -> None:
        await exchange.begin()
        await exchange.data(
            b'data: {"choices":[{"delta":{"content":"a\\u0000b\\ud800c"},'
            b'"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
        )
        await exchange.end()

    said: list[str] = []
    async with _model(behave) as model:
        await _text(model, said)
    assert storable("".join(said)).startswith("a\ufffdb")

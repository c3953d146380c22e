"""Answers as TGI's JSON bodies and stream events, one module for its three dialects.

Stream frames are spliced from bytes prepared once per answer:
only a token's text is serialised per frame.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import orjson

from tgi.embedded.engine import Answer
from tgi.embedded.failures import ToolError
from tgi.embedded.pieces import Piece
from tgi.embedded.wire import ChatRequest, GenerateRequest

DONE = b"data: [DONE]\n\n"


def event(data: Any) -> bytes:
    """Return one server-sent event."""
    return b"data: " + orjson.dumps(data) + b"\n\n"


class Naming:
    """What every answer says about who answered."""

    def __init__(self, model_id: str, fingerprint: str) -> None:
        self.model_id = model_id
        self.fingerprint = fingerprint

    def envelope(self, kind: str) -> dict[str, Any]:
        """Return the fields that open every OpenAI-compatible answer."""
        return {
            "object": kind,
            "id": "",
            "created": int(time.time()),
            "model": self.model_id,
            "system_fingerprint": self.fingerprint,
        }


def usage(*answers: Answer) -> dict[str, int]:
    """Return the tokens of these answers."""
    prompt = sum(answer.prompt_tokens for answer in answers)
    completion = sum(answer.generated_tokens for answer in answers)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def chat(answer: Answer, request: ChatRequest, naming: Naming) -> dict[str, Any]:
    """Return the body of a chat completion; raises ToolError for a call that was cut off."""
    text = answer.generated.text
    if answer.call is None:
        message: dict[str, Any] = {"role": "assistant", "content": text}
    elif answer.generated.finish == "length":
        raise ToolError(f"Failed to parse generated text: {text!r}")
    else:
        function = {"description": None, "name": answer.call.name, "arguments": text}
        message = {
            "role": "assistant",
            "tool_calls": [{"id": "0", "type": "function", "function": function}],
        }
    pieces = [piece for piece in answer.generated.pieces if not piece.special]
    choice = {
        "index": 0,
        "message": message,
        "logprobs": {"content": [_logprob(p) for p in pieces]} if request.logprobs else None,
        "finish_reason": _openai_finish(answer),
    }
    return naming.envelope("chat.completion") | {"choices": [choice], "usage": usage(answer)}


def chat_events(answer: Answer, request: ChatRequest, naming: Naming) -> Iterator[bytes]:
    """Yield the events of a chat stream, one a token, without the closing [DONE]."""
    envelope = naming.envelope("chat.completion.chunk")
    head = event(envelope)[:-3] + b',"choices":[{"index":0,"delta":{"role":"assistant",'
    if answer.call is None:
        yield from _text_events(answer, request, head)
    else:
        yield from _call_events(answer, head)
    if request.stream_options.include_usage:
        yield event(envelope | {"choices": [], "usage": usage(answer)})


def _text_events(answer: Answer, request: ChatRequest, head: bytes) -> Iterator[bytes]:
    head += b'"content":'
    final = len(answer.generated.pieces) - 1
    for index, piece in enumerate(answer.generated.pieces):
        logprobs = (
            orjson.dumps({"content": [_logprob(piece)]})
            if request.logprobs and not piece.special
            else b"null"
        )
        yield b"".join(
            (
                head,
                orjson.dumps("" if piece.special else piece.text),
                b'},"logprobs":',
                logprobs,
                b',"finish_reason":',
                orjson.dumps(_openai_finish(answer)) if index == final else b"null",
                b'}],"usage":null}\n\n',
            )
        )


def _call_events(answer: Answer, head: bytes) -> Iterator[bytes]:
    """Yield a call as TGI does.

    Only the first frame has the name; its arguments are "{", whatever they are.
    A call without arguments ends there, and a finished call has no finish reason.
    """
    assert answer.call is not None
    head += b'"tool_calls":[{"index":0,"id":"0","type":"function","function":{"name":'
    tail = b'}}]},"logprobs":null,"finish_reason":null}],"usage":null}\n\n'
    yield head + orjson.dumps(answer.call.name) + b',"arguments":"{"' + tail
    if not answer.call.arguments:
        return
    skip = 1  # the brace that has been sent
    for piece in answer.generated.pieces:
        text = piece.text[skip:]
        skip = max(skip - len(piece.text), 0)
        if text and not piece.special:
            yield head + b'null,"arguments":' + orjson.dumps(text) + tail
    if answer.generated.finish == "length":
        yield head + b'null,"arguments":""' + tail.replace(b":null}]", b':"length"}]')


def completion(answers: list[Answer], naming: Naming) -> dict[str, Any]:
    """Return the body of a text completion, one choice a prompt."""
    choices = [
        _choice(index, answer.generated.text, _openai_finish(answer))
        for index, answer in enumerate(answers)
    ]
    return naming.envelope("text_completion") | {"choices": choices, "usage": usage(*answers)}


def completion_events(answers: list[Answer], naming: Naming) -> Iterator[bytes]:
    """Yield the events of a text completion: the prompts' tokens in turns, no [DONE]."""
    envelope = naming.envelope("text_completion")
    for step in range(max(len(answer.generated.pieces) for answer in answers)):
        for index, answer in enumerate(answers):
            pieces = answer.generated.pieces
            if step >= len(pieces):
                continue
            text = "" if pieces[step].special else pieces[step].text
            if step < len(pieces) - 1:
                yield event(envelope | {"choices": [_choice(index, text, "")]})
            else:
                last = [_choice(index, text, answer.generated.finish)]
                yield event(envelope | {"choices": last, "usage": usage(answer)})


def generated(answer: Answer, request: GenerateRequest) -> dict[str, Any]:
    """Return the body of /generate."""
    wanted = request.parameters
    text = (request.inputs if wanted.return_full_text else "") + answer.generated.text
    body: dict[str, Any] = {"generated_text": text}
    if wanted.details or wanted.decoder_input_details:
        sequence: dict[str, Any] = {
            "finish_reason": answer.generated.finish,
            "generated_tokens": answer.generated_tokens,
            "seed": wanted.seed,
            "prefill": [
                {"id": span[0], "text": span[1], "logprob": None} for span in answer.prompt.spans
            ]
            if wanted.decoder_input_details
            else [],
            "tokens": [_token(piece) for piece in answer.generated.pieces],
        }
        if wanted.top_n_tokens:
            sequence["top_tokens"] = [[_token(piece)] for piece in answer.generated.pieces]
        body["details"] = dict(sequence)
        if (best_of := wanted.best_of or 1) > 1:  # the same question always has the same answer
            others = [{"generated_text": text, **sequence}] * (best_of - 1)
            body["details"]["best_of_sequences"] = others
    return body


def generated_events(answer: Answer, request: GenerateRequest) -> Iterator[bytes]:
    """Yield the events of /generate_stream; the last one has the whole text."""
    wanted = request.parameters
    final = len(answer.generated.pieces) - 1
    for index, piece in enumerate(answer.generated.pieces):
        data: dict[str, Any] = {"index": index + 1, "token": _token(piece)}
        if wanted.top_n_tokens:
            data["top_tokens"] = [_token(piece)]
        data |= {"generated_text": None, "details": None}
        if index == final:
            prefix = request.inputs if wanted.return_full_text else ""
            data["generated_text"] = prefix + answer.generated.text
        if index == final and wanted.details:
            data["details"] = {
                "finish_reason": answer.generated.finish,
                "generated_tokens": answer.generated_tokens,
                "input_length": answer.prompt_tokens,
                "seed": wanted.seed,
            }
        yield event(data)


def _choice(index: int, text: str, finish: str) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": finish}


def _token(piece: Piece) -> dict[str, Any]:
    # A model that answers the same way every time gives each token the probability 1.
    return {"id": piece.id, "text": piece.text, "logprob": 0.0, "special": piece.special}


def _logprob(piece: Piece) -> dict[str, Any]:
    return {"token": piece.text, "logprob": 0.0, "top_logprobs": []}


def _openai_finish(answer: Answer) -> str:
    return "length" if answer.generated.finish == "length" else "stop"

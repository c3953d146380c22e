"""Answers in the shapes of older TGI releases and of other servers."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ModelOverloaded, ModelUnavailable, StreamCut
from tgi.client import DONE
from tgi.reading import Reading, whole

PLACE = {"city": "Warsaw"}


def _event(finish: str | None = None, *, index: int = 0, **delta: Any) -> dict[str, Any]:
    choice = {"index": index, "delta": delta, "finish_reason": finish, "logprobs": None}
    return {"model": "m", "system_fingerprint": "f", "choices": [choice]}


def _part(arguments: Any, name: str | None = None, **more: Any) -> dict[str, Any]:
    return {"index": 0, "function": {"name": name, "arguments": arguments}, **more}


def _streamed(
    *frames: dict[str, Any], offered: list[str] | None = None
) -> tuple[str, list[tuple[str | None, str | None]], str]:
    """Return the text, each call's name and arguments, and the finish reason."""
    reading = Reading(offered=offered)
    begun = reading.feed([*frames, DONE])
    rest = reading.finish()
    calls: dict[int | None, tuple[str | None, str | None]] = {}
    for call in [*begun.calls, *rest.calls]:
        name, before = calls.get(call["index"], (call["name"], ""))
        calls[call["index"]] = (name, (before or "") + (call["args"] or ""))
    return begun.text + rest.text, list(calls.values()), reading.finish_reason


def _answered(call: Any, **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": None, "tool_calls": call}
    return {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], **more}


def test_a_call_as_an_object_with_the_end_token_as_its_last_part() -> None:
    """TGI until 3.0 sent a call as an object, and the model's end token as arguments."""
    text, calls, reason = _streamed(
        _event(tool_calls=_part('{"city":', "weather")),
        _event(tool_calls=_part(' "Warsaw"}')),
        _event("eos_token", tool_calls=_part("<|eot_id|>")),
    )
    assert (text, calls, reason) == ("", [("weather", '{"city": "Warsaw"}')], "tool_calls")


def test_a_name_inside_the_arguments() -> None:
    """TGI until 3.1.1 streamed a call's name among its arguments."""
    parts = ('{"function": {"_name":', ' "weather", "city": "Zür', 'ich"}}')
    _, calls, reason = _streamed(*(_event(tool_calls=[_part(part)]) for part in parts))
    assert (calls, reason) == ([("weather", '{"city": "Zürich"}')], "tool_calls")


def test_a_name_with_every_part() -> None:
    """A name that is repeated is one name."""
    _, calls, _ = _streamed(
        _event(tool_calls=[_part("{", "weather")]), _event(tool_calls=[_part("}", "weather")])
    )
    assert calls == [("weather", "{}")]


def test_arguments_as_an_object() -> None:
    """Arguments that are an object, streamed or whole, are the arguments."""
    _, calls, _ = _streamed(_event(tool_calls=[_part(PLACE, "weather")]))
    assert calls == [("weather", '{"city": "Warsaw"}')]
    (call,) = whole(_answered([_part(PLACE, "weather")])).calls
    assert call["args"] == PLACE


def test_parameters_for_arguments() -> None:
    """TGI 1.4 called a call's arguments its parameters."""
    call = {"id": 0, "function": {"name": "tools", "description": None, "parameters": PLACE}}
    answer = whole(_answered(call))
    assert [(call["name"], call["args"]) for call in answer.calls] == [("tools", PLACE)]


def test_no_arguments_at_all() -> None:
    """Null, empty and broken-off empty arguments are a call without arguments."""
    for sent in (None, "", "{", "{}"):
        _, calls, _ = _streamed(_event(tool_calls=[_part(sent, "now")]))
        assert calls == [("now", "{}")]
        assert whole(_answered([_part(sent, "now")])).calls[0]["args"] == {}


@pytest.mark.parametrize(
    ("name", "said"), [("no_tool", {"content": "Żadne."}), ("notify_error", {"error": "Żadne."})]
)
def test_the_tool_for_no_tool(name: str, said: dict[str, str]) -> None:
    """TGI's own tool for "none fits" is text, unless a tool of that name was offered."""
    streamed = _event(tool_calls=[_part(said, name)])
    assert _streamed(streamed, offered=["weather"]) == ("Żadne.", [], "stop")
    assert _streamed(streamed, offered=[name])[2] == "tool_calls"
    sent = _answered([_part(said, name)])
    answer = whole(sent, offered=["weather"])
    assert (answer.text, answer.calls, answer.finish_reason) == ("Żadne.", [], "stop")
    assert whole(sent, offered=[name]).calls[0]["args"] == said
    assert whole(sent).calls[0]["name"] == name


@pytest.mark.parametrize(
    "frames",
    [
        [_event(tool_calls=_part("</s>"))],
        [_event("stop", tool_calls=_part("<|eot_id|>"))],
        [_event(tool_calls=[_part('"}', "weather")])],
        [_event("length", tool_calls=[_part('{"function": {"_name": "wea')])],
        [_event(tool_calls=[_part('{"city": "Warsaw"}')])],
        [_event(content=" assistant")],
        [_event(content="broken", nothing=None), {"choices": [{"index": 0}]}],
    ],
)
def test_a_part_is_not_an_answer(frames: list[dict[str, Any]]) -> None:
    """What is only a part of an answer, or a call without a name, is StreamCut."""
    with pytest.raises(StreamCut):
        _streamed(*frames)


def test_one_of_several_answers() -> None:
    """Of several answers to a question one is read, and the others do not mix with it."""
    frames = [_event(content="a"), _event(content="b", index=1), _event("stop", content="A")]
    frames.append(_event("length", content="B", index=1))
    assert _streamed(*frames) == ("aA", [], "stop")
    other = Reading(choice=1)
    assert other.feed(frames).text == "bB"
    bodies = [{"index": i, "message": {"content": text}} for i, text in enumerate("ab")]
    assert whole({"choices": bodies[::-1]}).text == "a"
    assert whole({"choices": bodies}, choice=1).text == "b"


@given(st.lists(st.integers(0, 8), max_size=8))
def test_frames_in_any_groups(cuts: list[int]) -> None:
    """Frames that arrive together say what they say one after the other."""
    frames = [_event(content=text) for text in ("Ż", "ó", "łw")]
    frames += [_event(tool_calls=[_part(part, name)]) for part, name in (("{", "now"), ("}", None))]
    frames += [_event("stop"), DONE]
    at = [0, *sorted(cuts), len(frames)]
    reading = Reading()
    deltas = [reading.feed(frames[start:stop]) for start, stop in pairwise(at)]
    deltas.append(reading.finish())
    calls = [call for delta in deltas for call in delta.calls]
    assert "".join(delta.text for delta in deltas) == "Żółw"
    assert "".join(call["args"] or "" for call in calls) == "{}"
    assert [call["name"] for call in calls if call["name"]] == ["now"]
    assert reading.finish_reason == "tool_calls"


def test_usage_beside_a_choice() -> None:
    """The usage may come with the last token instead of after it, with null details."""
    counted = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    reading = Reading()
    reading.feed([_event(content="a") | {"usage": counted | {"prompt_tokens_details": None}}])
    reading.finish()
    assert reading.usage == {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}


def test_an_error_with_status_200() -> None:
    """A body that reports an error is that error, whatever its status says."""
    with pytest.raises(ModelOverloaded):
        whole({"error": "Model is overloaded", "error_type": "overloaded"})


@pytest.mark.parametrize(
    "body",
    [[], "text", {}, {"choices": []}, {"choices": [{"index": 0}]}, _answered([_part(PLACE)])],
)
def test_another_shape(body: Any) -> None:
    """A body of another shape is ModelUnavailable."""
    with pytest.raises(ModelUnavailable):
        whole(body)

"""What a chat completion request may say."""

from __future__ import annotations

from typing import Any

import pytest

from api.dialects.completions import REFUSED, ChatMessage, ChatRequest, check, converse, sampling
from core.errors import EmptyInput, InputTooLong, InvalidInput, UnsupportedParameter


def request(**fields: Any) -> ChatRequest:
    return ChatRequest(
        **{"model": "parley", "messages": [{"role": "user", "content": "Hi"}], **fields}
    )


def messages(*given: tuple[str, Any]) -> list[ChatMessage]:
    return [ChatMessage.model_validate({"role": r, "content": c}) for r, c in given]


def test_messages_are_sorted_by_what_they_are_for() -> None:
    """System messages instruct, the last user message asks, the rest is history."""
    said = converse(
        messages(
            ("system", "Be brief."),
            ("user", "What is a backup?"),
            ("assistant", "A copy [1]."),
            ("developer", "Say please."),
            ("assistant", None),
            ("user", [{"type": "text", "text": "And"}, {"type": "text", "text": "a restore?"}]),
        )
    )
    assert said.instructions == "Be brief.\n\nSay please."
    assert said.text == "And\na restore?"
    assert [(m["role"], m["content"], m["seq"]) for m in said.history] == [
        ("user", "What is a backup?", None),
        ("assistant", "A copy [1].", None),
    ]


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_we_cannot_do_is_refused_by_name(name: str) -> None:
    """A parameter that would change the answer is not silently ignored."""
    with pytest.raises(UnsupportedParameter) as caught:
        check(request(**{name: [{"wanted": True}]}))
    assert caught.value.param == name


@pytest.mark.parametrize(
    "fields",
    [
        *({name: None} for name in sorted(REFUSED)),
        *({name: value} for name, values in sorted(REFUSED.items()) for value in values),
        {"user": "u", "metadata": {"a": "b"}, "store": True, "parallel_tool_calls": False},
        {"stream": True, "stream_options": {"include_usage": True}},
    ],
    ids=str,
)
def test_what_changes_nothing_is_accepted(fields: dict[str, Any]) -> None:
    """Clients send their defaults along; saying no to what we lack is fine."""
    check(request(**fields))


def test_an_unknown_parameter_is_refused() -> None:
    """As OpenAI does: a typing error does not go unnoticed."""
    with pytest.raises(UnsupportedParameter, match="temprature"):
        check(request(temprature=1))


def test_stream_options_need_a_stream() -> None:
    """As OpenAI does."""
    with pytest.raises(InvalidInput):
        check(request(stream_options={"include_usage": True}))


@pytest.mark.parametrize(
    ("given", "error", "param"),
    [
        ([("assistant", "Hi")], InvalidInput, "messages"),
        ([("tool", "x"), ("user", "Hi")], UnsupportedParameter, "messages[0].role"),
        (
            [("user", [{"type": "image_url", "image_url": {}}])],
            UnsupportedParameter,
            "messages[0].content[0].type",
        ),
        ([("user", [{"type": "text"}])], InvalidInput, "messages[0].content[0].text"),
        ([("user", "")], EmptyInput, None),
        ([("user", None)], EmptyInput, None),
        ([("user", " \n")], EmptyInput, None),
        ([("user", "x" * 32_001)], InputTooLong, None),
        ([("system", "x" * 32_001), ("user", "Hi")], InputTooLong, None),
        ([("user", "a\x00")], InvalidInput, None),
        ([("assistant", "a\ud800"), ("user", "Hi")], InvalidInput, None),
    ],
    ids=str,
)
def test_messages_that_cannot_be_answered(
    given: list[tuple[str, Any]], error: type[InvalidInput], param: str | None
) -> None:
    """Each is refused with its own error, which names the place where it can."""
    with pytest.raises(error) as caught:
        converse(messages(*given))
    assert caught.value.param == param


def test_an_assistants_tool_call_is_refused() -> None:
    """A history with tool calls needs tools, which there are none of."""
    call = ChatMessage.model_validate({"role": "assistant", "tool_calls": [{"id": "1"}]})
    with pytest.raises(UnsupportedParameter) as caught:
        converse([call, *messages(("user", "Hi"))])
    assert caught.value.param == "messages[0].tool_calls"


def test_sampling_parameters_are_those_given() -> None:
    """The newer name of the limit wins, one stop sequence is a list of one, and 0 is a value."""
    wanted = sampling(
        request(temperature=0, seed=0, stop="END", max_tokens=5, max_completion_tokens=9)
    )
    assert wanted == {"temperature": 0, "seed": 0, "stop": ["END"], "max_tokens": 9}
    assert sampling(request()) == {}


@pytest.mark.parametrize("stop", [["a"] * 5, "", ["x" * 257], "a\x00"])
def test_stop_sequences_have_limits(stop: str | list[str]) -> None:
    """At most four, of one to 256 characters that can be sent on."""
    with pytest.raises(InvalidInput):
        sampling(request(stop=stop))

"""The extractive model picks tools, fills their arguments, and asks for what is missing."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embeddings.minilm import MiniLM
from tgi.embedded.extractive import ExtractiveModel
from tgi.embedded.filling import fill
from tgi.embedded.model import Reply
from tgi.embedded.schemas import instance, matching


def tool(name: str, description: str, required: list[str], **properties: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": required}
    function = {"name": name, "description": description, "parameters": parameters}
    return {"type": "function", "function": function}


WEATHER = tool(
    "get_weather",
    "Get the weather forecast for a city.",
    ["city"],
    city={"type": "string", "description": "City name"},
    days={"type": "integer", "description": "Number of days", "minimum": 1, "maximum": 14},
    unit={"type": "string", "enum": ["celsius", "fahrenheit"]},
)
REFUND = tool(
    "refund_order",
    "Refund an order to the customer.",
    ["order_id", "amount"],
    order_id={"type": "string", "description": "Id of the order"},
    amount={"type": "number", "description": "Amount to refund in dollars"},
    notify={"type": "boolean", "description": "Notify the customer"},
)
TOOLS = [WEATHER, REFUND]


@pytest.fixture(scope="session")
def model(embedder: MiniLM) -> ExtractiveModel:
    """The model, without faults or pauses."""
    return ExtractiveModel(embedder)


async def ask(model: ExtractiveModel, text: str, choice: str = "auto") -> Reply:
    return await model.chat([{"role": "user", "content": text}], tools=TOOLS, tool_choice=choice)


@pytest.mark.parametrize(
    ("text", "name", "arguments"),
    [
        (
            "What will the weather be in Paris for the next 3 days, in celsius?",
            "get_weather",
            {"city": "Paris", "days": 3, "unit": "celsius"},
        ),
        (
            "Please refund order #W123-9: an amount of 49.50 dollars, and don't notify them",
            "refund_order",
            {"order_id": "#W123-9", "amount": 49.5, "notify": False},
        ),
    ],
)
async def test_a_clear_request_becomes_a_call(
    model: ExtractiveModel, text: str, name: str, arguments: dict[str, Any]
) -> None:
    """The tool that the request describes is called with what the request states."""
    reply = await ask(model, text)
    assert reply.text is None
    (call,) = reply.tool_calls
    assert (call.name, call.arguments) == (name, arguments)


async def test_a_missing_argument_is_asked_for(model: ExtractiveModel) -> None:
    """A required argument that nobody stated is never made up."""
    reply = await ask(model, "Please refund my order to me, the customer")
    assert reply.tool_calls == ()
    assert reply.text == (
        "To use refund_order I still need: order id (Id of the order) "
        "and amount (Amount to refund in dollars)."
    )


async def test_a_request_for_something_else_calls_nothing(model: ExtractiveModel) -> None:
    """Tools are offered, not imposed."""
    reply = await ask(model, "Who wrote Pride and Prejudice?")
    assert reply == Reply(text="I don't know.")


async def test_the_caller_s_choice_is_honoured(model: ExtractiveModel) -> None:
    """`none` forbids, `required` and a name oblige, and an unknown name is an error."""
    text = "What is the weather in Oslo?"
    assert (await ask(model, text, "none")).tool_calls == ()
    assert (await ask(model, text, "required")).tool_calls[0].name == "get_weather"
    named = await ask(model, "Something about Oslo", "get_weather")
    assert named.tool_calls[0].arguments == {"city": "Oslo"}
    with pytest.raises(ValueError, match="no tool launch"):
        await ask(model, text, "launch")


@pytest.mark.parametrize(
    ("result", "answer"),
    [
        ("Sunny, 21 degrees.", "Sunny, 21 degrees."),
        ('{"city": "Oslo", "temp_c": 21, "rain": false}', "city: Oslo. temp c: 21. rain: no."),
        ("[]", "I don't know."),
    ],
)
async def test_a_tool_s_result_is_answered_from(
    model: ExtractiveModel, result: str, answer: str
) -> None:
    """After a result the model answers instead of calling again, even with `required`."""
    call = {"id": "1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "What is the weather in Oslo?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": result},
    ]
    reply = await model.chat(messages, tools=TOOLS, tool_choice="required")
    assert reply == Reply(text=answer)


TICKET = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "priority": {"enum": ["low", "medium", "high"]},
        "email": {"type": "string", "format": "email"},
        "due": {"type": "string", "format": "date"},
        "hours": {"type": ["number", "null"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "owner": {"$ref": "#/$defs/person"},
    },
    "required": ["title", "priority", "hours", "tags", "owner"],
    "$defs": {
        "person": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "boss": {"$ref": "#/$defs/person"}},
            "required": ["name"],
        }
    },
}


async def test_a_schema_is_filled_from_the_text(model: ExtractiveModel) -> None:
    """The answer is JSON that fits the schema; values come from the text, or stay empty."""
    text = 'Ticket with title "Broken lift", high priority, mail bo@example.org, due May 6, 2026.'
    reply = await model.chat([{"role": "user", "content": text}], response_schema=TICKET)
    assert reply.text is not None
    made = json.loads(reply.text)
    jsonschema.validate(made, TICKET)
    assert made["title"] == "Broken lift"
    assert made["priority"] == "high"
    assert made["email"] == "bo@example.org"
    assert made["due"] == "2026-05-06"
    assert made["hours"] is None


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}, "none"),
        ({"type": "object", "properties": {"a": {"$ref": "https://example.org/x"}}}, "a"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, "a"),
        ({"type": "string", "minLength": 500}, "too short"),
        ({"type": "nonsense"}, "a"),
        ({"type": "string", "pattern": "^(a+)+$"}, "a" * 60 + "b"),
        ({"type": "string", "pattern": "(?=a)"}, "a"),
    ],
)
def test_a_schema_that_cannot_be_filled_honestly_is_refused(
    schema: dict[str, Any], text: str
) -> None:
    """No number is invented, nothing is fetched, nothing runs in circles."""
    with pytest.raises(ValueError, match=r"\w"):
        instance(schema, text)


json_values = st.sampled_from(
    [
        {"type": "string"},
        {"type": "boolean"},
        {"type": ["integer", "null"]},
        {"enum": ["red", "green", None]},
        {"type": "array", "items": {"type": "integer"}},
        {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]},
        {"const": 7},
    ]
)


@given(st.dictionaries(st.text(max_size=8), json_values, max_size=5), st.text(max_size=80))
def test_what_is_filled_always_fits(properties: dict[str, Any], text: str) -> None:
    """Whatever the names and the text are, the instance validates."""
    schema = {"type": "object", "properties": properties, "required": sorted(properties)}
    jsonschema.validate(json.loads(instance(schema, text)), schema)


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (
            r"((25[0-5]|2[0-4]\d|[01]?\d\d?)\.){3}(25[0-5]|2[0-4]\d|[01]?\d\d?)",
            "is 8.8.8.8.",
            "8.8.8.8",
        ),
        (r"\w+@\w+\.(com|org)", "Write to jo@example.org, please", "jo@example.org"),
        (r"(yes|no)", "Is it open? Answer yes or no", "no"),
        (r"\d{4} [A-Z][a-z]+", "moved in 1596 Sigismund", "1596 Sigismund"),
    ],
)
def test_a_pattern_gets_a_stretch_of_the_prompt(pattern: str, text: str, found: str) -> None:
    """What fits a regular expression is quoted, never invented."""
    assert matching(pattern, text) == found


@pytest.mark.parametrize("pattern", [r"\d{9}", r"(?=x)y", "(", r"(a+)+$b"])
def test_a_pattern_that_nothing_fits_is_refused(pattern: str) -> None:
    """Neither a missing match nor an unsupported or explosive pattern is answered."""
    with pytest.raises(ValueError, match=r"pattern"):
        matching(pattern, "a" * 5000 + " words without digits")


def test_dates_and_spelled_numbers_are_understood() -> None:
    """Stated days become ISO dates where the schema asks for them; words become numbers."""
    schema = {
        "properties": {
            "start": {"type": "string", "format": "date", "description": "start date"},
            "guests": {"type": "integer"},
        },
        "required": ["start", "guests"],
    }
    filled = fill(schema, "Book a table for three guests from March 3rd, 2026")
    assert filled.missing == []
    assert filled.values == {"start": "2026-03-03", "guests": 3}

"""Declared operations become tools; what they send and what they say stays within bounds."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from core.errors import SettingsInvalid
from tests.tools.web.site import Answer, Site, page, site
from tools.http.call import call_http
from tools.registry import Outcome, Registry
from tools.tool import Caller, Declaration, Tool

ANN = Caller("default", "ann")
TOKEN = "sesame-4711"
DOCUMENT = """
openapi: 3.1.0
info: {title: Shop, version: "1", x-since: 2020-01-01}
servers: [{url: "http://unused.example"}]
paths:
  /orders/{order}:
    parameters: [{$ref: "#/components/parameters/order"}]
    get:
      operationId: findOrder
      summary: Finds an order.
      parameters:
        - {name: fields, in: query, schema: {type: array, items: {type: string}}}
        - {name: tags, in: query, explode: false, schema: {type: array, items: {type: string}}}
        - {name: deep, in: query, schema: {type: boolean}}
        - {name: X-Reason, in: header, schema: {type: string}}
        - {name: Authorization, in: header, schema: {type: string}}
    delete: {operationId: deleteOrder}
  /refunds:
    post:
      operationId: refund
      requestBody: {$ref: "#/components/requestBodies/refund"}
components:
  parameters:
    order: {name: order, in: path, required: true, description: Its id., schema: {type: string}}
  requestBodies:
    refund:
      required: true
      content: {application/json: {schema: {$ref: "#/components/schemas/Refund"}}}
  schemas:
    Refund:
      type: object
      required: [cents]
      properties:
        cents: {$ref: "#/components/schemas/Cents"}
        because: {type: array, items: {$ref: "#/components/schemas/Refund"}}
        day: {type: string, format: date, example: 2024-01-01}
    Cents: {type: integer, minimum: 1}
    Unused: {type: string}
"""
OPERATIONS: dict[str, Any] = {
    "findOrder": {"effect": "none", "idempotency": "pure"},
    "refund": {"effect": "external", "idempotency": "keyed", "roles": ["clerk"]},
}


def written(folder: Path, url: str | None, text: str = DOCUMENT, **service: Any) -> Path:
    """Write the file of services and its document; return the former."""
    (folder / "shop.yaml").write_text(text, encoding="utf-8")
    said = {"name": "shop", "document": "shop.yaml", "operations": OPERATIONS} | service
    file = folder / "services.json"
    file.write_text(json.dumps({"services": [said | ({"url": url} if url else {})]}))
    return file


@asynccontextmanager
async def shop(
    folder: Path, answer: Answer, **service: Any
) -> AsyncIterator[tuple[Callable[..., Awaitable[Outcome]], Site, Mapping[str, Tool]]]:
    """Yield how to call a tool of a shop, the shop, and the tools by name."""
    service = {"token_variable": "SHOP_TOKEN"} | service
    async with site(answer) as found:
        file = written(folder, found.url + "/v1/", **service)
        async with call_http(file, {"SHOP_TOKEN": TOKEN}) as tools:
            registry = Registry(tools)

            async def call(name: str, **arguments: Any) -> Outcome:
                clerk = Caller("default", "carl", roles=frozenset({"clerk"}))
                return await registry.call(name, arguments, clerk, key="key-1")

            yield call, found, {tool.name: tool for tool in tools}


def fine(path: str) -> bytes:
    """Answer that all is well."""
    return page(b'{"ok": true}', "application/json")


async def test_declared_operations_are_tools_and_others_do_not_exist(tmp_path: Path) -> None:
    """What is declared says what they do; hosts are the service's."""
    async with shop(tmp_path, fine) as (_, _, tools):
        assert list(tools) == ["shop__findOrder", "shop__refund"]
        assert tools["shop__refund"].declaration == Declaration(
            effect="external",
            idempotency="keyed",
            reads_private=True,
            reads_untrusted=True,
            hosts=frozenset({"127.0.0.1"}),
            timeout_seconds=5.0,
            roles=frozenset({"clerk"}),
        )
        assert tools["shop__findOrder"].description == "Finds an order."


async def test_the_schema_holds_all_it_refers_to_and_can_be_sent_to_a_model(
    tmp_path: Path,
) -> None:
    """Components come along, unused ones do not; headers of ours are no arguments."""
    async with shop(tmp_path, fine) as (_, _, tools):
        schema = tools["shop__refund"].schema
        assert json.loads(json.dumps(schema)) == {
            "type": "object",
            "properties": {"body": {"$ref": "#/$defs/Refund"}},
            "additionalProperties": False,
            "required": ["body"],
            "$defs": {
                "Refund": {
                    "type": "object",
                    "required": ["cents"],
                    "properties": {
                        "cents": {"$ref": "#/$defs/Cents"},
                        "because": {"type": "array", "items": {"$ref": "#/$defs/Refund"}},
                        "day": {"type": "string", "format": "date", "example": "2024-01-01"},
                    },
                },
                "Cents": {"type": "integer", "minimum": 1},
            },
        }
        found = tools["shop__findOrder"].schema
        assert set(found["properties"]) == {"order", "fields", "tags", "deep", "X-Reason"}
        assert found["required"] == ["order"]
        assert found["properties"]["order"] == {"description": "Its id.", "type": "string"}


async def test_each_argument_goes_to_its_place(tmp_path: Path) -> None:
    """Path, query and header as the document says; credentials ours, a key only where declared."""
    async with shop(tmp_path, fine) as (call, asked, _):
        outcome = await call(
            "shop__findOrder",
            order="a b/ü?#%",
            fields=["x", "y&z"],
            tags=["1", "2"],
            deep=True,
            **{"X-Reason": "why"},
        )
    assert (outcome.status, outcome.text) == ("ok", '{"ok": true}')
    head = asked.requests[0]
    path = "/v1/orders/a%20b%2F%C3%BC%3F%23%25?fields=x&fields=y%26z&tags=1%2C2&deep=true"
    assert head.startswith(f"GET {path} HTTP/1.1\r\n")
    assert "X-Reason: why\r\n" in head
    assert f"Authorization: Bearer {TOKEN}\r\n" in head
    assert "idempotency-key" not in head.lower()
    assert outcome.sources == (f"{asked.url}/v1/orders/a%20b%2F%C3%BC%3F%23%25",)


async def test_a_body_is_json_and_a_keyed_call_carries_its_key(tmp_path: Path) -> None:
    """The key is the registry's, so that the same call is the same to the service."""
    async with shop(tmp_path, fine) as (call, asked, _):
        await call("shop__refund", body={"cents": 5})
        assert (await call("shop__refund", body={"cents": 0})).code == "arguments_invalid"
    assert "Idempotency-Key: key-1\r\n" in asked.requests[0]
    assert "Content-Type: application/json\r\n" in asked.requests[0]
    assert [json.loads(body) for body in asked.bodies] == [{"cents": 5}]


@pytest.mark.parametrize(
    "arguments",
    [
        {"order": ".."},
        {"order": "."},
        {"order": ""},
        {"order": "a/../../admin"},
        {"order": "..\\admin"},
        {"order": "1", "X-Reason": "a\r\nHost: evil.example"},
        {"order": "1", "X-Reason": "ü"},
    ],
)
async def test_no_argument_leaves_its_place(tmp_path: Path, arguments: dict[str, str]) -> None:
    """Nothing is sent for a value that could become another path or another header."""
    async with shop(tmp_path, fine) as (call, asked, _):
        outcome = await call("shop__findOrder", **arguments)
    assert (outcome.status, outcome.code) == ("refused", "tool_refused")
    assert asked.connections == 0


@pytest.mark.parametrize(
    ("status", "ended"),
    [
        ("400 Bad", ("refused", False)),
        ("401 No", ("refused", False)),
        ("404 None", ("refused", False)),
        ("422 Wrong", ("refused", False)),
        ("429 Slow", ("refused", False)),
        ("408 Late", ("failed", True)),
        ("409 Busy", ("failed", True)),
        ("302 Found", ("failed", True)),
        ("500 Oh", ("failed", True)),
        ("503 Oh", ("failed", True)),
    ],
)
async def test_how_a_call_ended_is_known_as_far_as_it_can_be(
    tmp_path: Path, status: str, ended: tuple[str, bool]
) -> None:
    """A refusal did nothing; after anything else the effect may be there."""
    answer = page(b'{"no": 1}', "application/json", "Location: /other", status=status)
    async with shop(tmp_path, lambda path: answer) as (call, asked, _):
        outcome = await call("shop__refund", body={"cents": 5})
    assert (outcome.status, outcome.may_have_run) == ended
    assert asked.connections == 1
    if outcome.status == "refused":
        assert outcome.text.endswith('{"no": 1}')
        assert outcome.sources


async def test_a_service_that_cannot_be_reached_has_done_nothing(tmp_path: Path) -> None:
    """The ledger need not ask a person about it."""
    async with site(fine) as gone:
        pass
    async with shop(tmp_path, fine, name="shop") as (_, _, _):
        file = written(tmp_path, gone.url)
        async with call_http(file, {}) as tools:
            clerk = Caller("default", "carl", roles=frozenset({"clerk"}))
            arguments = {"body": {"cents": 5}}
            outcome = await Registry(tools).call("shop__refund", arguments, clerk, key="k")
    assert (outcome.code, outcome.may_have_run) == ("remote_unreachable", False)


async def test_an_answer_that_breaks_off_may_have_had_its_effect(tmp_path: Path) -> None:
    """The request was sent; nobody knows what became of it."""
    async with shop(tmp_path, lambda path: b"") as (call, _, _):
        outcome = await call("shop__refund", body={"cents": 5})
    assert (outcome.code, outcome.may_have_run) == ("remote_unavailable", True)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (page(b"", ""), "Done (status 200)."),
        (page(b"\0", "image/png"), "(An answer of type image/png, which is not shown.)"),
        (page(b"x" * 2_000_001, "text/plain"), "(The answer has more than 2,000,000 bytes. It"),
        (page(b"x", "text/plain", "Content-Encoding: br"), "(The answer is packed in a way"),
    ],
)
async def test_an_answer_that_cannot_be_shown_does_not_undo_the_effect(
    tmp_path: Path, answer: bytes, text: str
) -> None:
    """The call succeeded, and the model learns that much."""
    async with shop(tmp_path, lambda path: answer) as (call, _, _):
        outcome = await call("shop__refund", body={"cents": 5})
    assert outcome.status == "ok"
    assert outcome.text.startswith(text)


@pytest.mark.parametrize("status", ["200 OK", "400 Bad", "500 Oh"])
async def test_the_token_is_told_to_the_service_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, status: str
) -> None:
    """It stands in no result, error, log or tool, even where a service repeats it."""
    caplog.set_level(logging.DEBUG)
    answer = page(f"you sent {TOKEN}".encode(), "text/plain", status=status)
    async with shop(tmp_path, lambda path: answer) as (call, asked, tools):
        outcome = await call("shop__refund", body={"cents": 5})
        assert TOKEN not in repr(tools)
    assert TOKEN in asked.requests[0]
    assert TOKEN not in repr(outcome)
    assert TOKEN not in caplog.text


async def test_without_a_file_there_are_no_tools() -> None:
    """The setting is empty by default."""
    async with call_http(None, {}) as tools:
        assert tools == []


def operation(more: str) -> str:
    """Return a document with one operation."""
    return f'openapi: 3.1.0\npaths: {{"/a": {{get: {{operationId: one, {more}}}}}}}'


def parameter(more: str) -> str:
    """Return a document whose one operation has a parameter."""
    return operation(f"parameters: [{{name: p, {more}}}]")


SELF = "#/components/parameters/self"
CIRCLE = f"\ncomponents: {{parameters: {{self: {{$ref: '{SELF}'}}}}}}"
ONE = {"operations": {"one": {"effect": "none", "idempotency": "pure"}}}


@pytest.mark.parametrize(
    ("document", "service", "told"),
    [
        ("swagger: 2.0", ONE, "not OpenAPI 3.1"),
        ("openapi: 3.0.3", ONE, "not OpenAPI 3.1"),
        ("[", ONE, "neither YAML nor JSON"),
        (DOCUMENT, ONE, "no operation one"),
        (DOCUMENT, {"document": "gone.yaml"}, "cannot be read"),
        (DOCUMENT, {"token_variable": "NOT_SET"}, "no NOT_SET"),
        (DOCUMENT, {"url": "ftp://a.example"}, "needs http"),
        (DOCUMENT, {"url": "http://u:p@a.example"}, "no user"),
        (DOCUMENT, {"name": "a__b"}, "name"),
        (DOCUMENT, {"colour": "red"}, "colour"),
        (DOCUMENT, {"operations": {"refund": {"effect": "external"}}}, "idempotency"),
        (
            DOCUMENT,
            {"operations": {"refund": {"effect": "none", "idempotency": "keyed"}}},
            "any number of times",
        ),
        (operation("x: 1"), ONE | {"url": None}, "declare `url`"),
        (operation("servers: [{url: /b}]"), ONE, "servers of its own"),
        (operation("requestBody: {content: {text/plain: {}}}"), ONE, "not JSON"),
        (parameter("in: cookie, schema: {}"), ONE, "in a cookie"),
        (parameter("in: query, style: deepObject, schema: {}"), ONE, "not supported"),
        (parameter("in: path, schema: {}"), ONE, "do not name the same"),
        (parameter('in: query, schema: {$ref: "http://a.example/s"}'), ONE, "no schema of"),
        (parameter('in: query, schema: {type: "none"}'), ONE, "is none"),
        (operation('parameters: [{$ref: "other.yaml#/p"}]'), ONE, "leads out"),
        (operation(f"parameters: [{{$ref: '{SELF}'}}]") + CIRCLE, ONE, "circle"),
    ],
)
async def test_what_could_not_be_called_rightly_is_refused_at_the_start(
    tmp_path: Path, document: str, service: dict[str, Any], told: str
) -> None:
    """The error names the variable and what is wrong."""
    service = {"url": "http://127.0.0.1:9"} | service
    file = written(tmp_path, service.pop("url"), document, **service)
    with pytest.raises(SettingsInvalid, match="TOOLS_HTTP_FILE: ") as refused:
        async with call_http(file, {}):
            pass
    assert told in str(refused.value)

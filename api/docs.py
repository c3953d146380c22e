"""The documentation of the API as one page without scripts, rendered from its OpenAPI description.

FastAPI's own pages load their scripts from a CDN; this one needs nothing but this server.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment

TEMPLATE = Path(__file__).with_name("docs.html")
POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
SHOWN_ANSWERS = ("2",)  # errors look alike: their example is shown once, not at each route

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a request body."""

    name: str
    required: bool
    description: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One of the answers of an operation."""

    status: str
    description: str
    example: str


@dataclass(frozen=True, slots=True)
class Operation:
    """A route as the page shows it."""

    anchor: str
    method: str
    path: str
    description: list[str]  # paragraphs
    parameters: list[dict[str, Any]]
    fields: list[Field]
    answers: list[Answer]
    curl: str


@router.get("/docs")
async def show(request: Request) -> HTMLResponse:
    """Return the page."""
    page = render(request.app.openapi(), str(request.base_url).rstrip("/"))
    return HTMLResponse(page, headers={"Content-Security-Policy": POLICY})


def render(spec: dict[str, Any], base_url: str) -> str:
    """Return the HTML for an OpenAPI description."""
    tags = [
        {
            **tag,
            "operations": [o for o, names in operations(spec, base_url) if tag["name"] in names],
        }
        for tag in spec["tags"]
    ]
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(spec=spec, tags=tags)


def operations(spec: dict[str, Any], base_url: str) -> Iterator[tuple[Operation, list[str]]]:
    """Yield each operation with the names of its tags."""
    for path, methods in spec["paths"].items():
        for method, operation in methods.items():
            body, example = _body(spec, operation)
            yield (
                Operation(
                    anchor=operation["operationId"],
                    method=method.upper(),
                    path=path,
                    description=operation.get("description", "").split("\n\n"),
                    parameters=operation.get("parameters", []),
                    fields=body,
                    answers=[_answer(spec, *pair) for pair in operation["responses"].items()],
                    curl=_curl(method.upper(), base_url + path, operation, example),
                ),
                operation.get("tags", []),
            )


def _body(spec: dict[str, Any], operation: dict[str, Any]) -> tuple[list[Field], Any]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return [], None
    schema = resolve(spec, content["schema"])
    required = schema.get("required", [])
    fields = [
        Field(name, name in required, field.get("description", ""))
        for name, field in schema.get("properties", {}).items()
    ]
    return fields, next(iter(schema.get("examples", [])), {})


def _answer(spec: dict[str, Any], status: str, response: dict[str, Any]) -> Answer:
    example = ""
    if status.startswith(SHOWN_ANSWERS):
        for media_type, content in response.get("content", {}).items():
            shown = content.get("example")
            if shown is None:
                shown = next(
                    iter(resolve(spec, content.get("schema", {})).get("examples", [])), None
                )
            if shown is not None:
                text = shown if isinstance(shown, str) else json.dumps(shown, indent=2)
                example += f"{media_type}\n{text.rstrip()}\n\n"
    return Answer(status, response.get("description", ""), example.rstrip())


def _curl(method: str, url: str, operation: dict[str, Any], example: Any) -> str:
    for parameter in operation.get("parameters", []):
        value = next(iter(parameter.get("schema", {}).get("examples", [])), None)
        if parameter["in"] == "path" and value is not None:
            url = url.replace("{" + parameter["name"] + "}", value)
    parts = ["curl"] if method == "GET" else ["curl", "-X", method]
    parts.append(shlex.quote(url))
    content = operation.get("requestBody", {}).get("content", {})
    if "application/octet-stream" in content:
        parts += ["--data-binary", "@FILE"]
    if example is not None:
        parts += ["-H", shlex.quote("Content-Type: application/json")]
        parts += ["-d", shlex.quote(json.dumps(example, ensure_ascii=False))]
    return " ".join(parts)


def resolve(spec: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema that a reference, or an optional one, stands for."""
    if "anyOf" in schema:  # a body that may be left out: something, or null
        schema = schema["anyOf"][0]
    name = schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = spec["components"]["schemas"][name] if name else schema
    return found

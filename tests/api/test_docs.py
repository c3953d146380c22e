"""The documentation needs nothing but this server."""

from __future__ import annotations

import re
from typing import Any

import pytest
from openapi_spec_validator import validate

from api.app import create_app
from api.docs import render, resolve
from core.settings import Settings


@pytest.fixture
def spec() -> dict[str, Any]:
    """The OpenAPI description."""
    return create_app(Settings()).openapi()


def test_the_description_is_valid(spec: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Any OpenAPI tool can read it."""
    # Else it takes a jsonschema-rs that another development tool has installed, too old for it.
    monkeypatch.setenv("OPENAPI_SPEC_VALIDATOR_SCHEMA_VALIDATOR_BACKEND", "jsonschema")
    validate(spec)


def test_every_route_is_on_the_page_with_a_command_to_try(spec: dict[str, Any]) -> None:
    """Each operation has its section, what it does, and a curl line with a real path."""
    page = render(spec, "http://127.0.0.1:8080")
    for path, methods in spec["paths"].items():
        for operation in methods.values():
            assert f'id="{operation["operationId"]}"' in page
            assert operation["description"], path
    commands = re.findall(r"<pre>(curl .*)</pre>", page)
    assert len(commands) == sum(len(methods) for methods in spec["paths"].values())
    assert not any("{" in command.split(" -H ")[0] for command in commands)


def test_every_json_answer_and_body_has_an_example(spec: dict[str, Any]) -> None:
    """Nobody has to guess what a body looks like."""
    missing = [
        f"{method} {path} {status}"
        for path, methods in spec["paths"].items()
        for method, operation in methods.items()
        for status, answer in [*operation["responses"].items(), ("body", operation)]
        for content in (answer.get("requestBody", answer)).get("content", {}).values()
        if "example" not in content and not resolve(spec, content["schema"]).get("examples")
    ]
    assert missing == []


def test_no_page_points_elsewhere(spec: dict[str, Any]) -> None:
    """No script, font or style comes from the network."""
    page = render(spec, "http://127.0.0.1:8080")
    assert set(re.findall(r"https?://[^/\s<&]+", page)) == {"http://127.0.0.1:8080"}
    assert "<script" not in page

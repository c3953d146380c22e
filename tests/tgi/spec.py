"""TGI's API description as JSON Schema, and the events of a stream."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
from jsonschema import Draft202012Validator


class Spec:
    """Checks answers against the components of an OpenAPI 3.0 file."""

    def __init__(self, path: Path) -> None:
        self._components = _nullable(orjson.loads(path.read_bytes())["components"])

    def check(self, component: str, answer: Any) -> None:
        """Raise jsonschema.ValidationError unless `answer` is what the component describes."""
        schema = {"$ref": f"#/components/schemas/{component}", "components": self._components}
        Draft202012Validator(schema).validate(answer)


def events(body: str) -> list[Any]:
    """Return the data of a stream's events, as JSON but for the closing mark."""
    data = [line[6:] for line in body.splitlines() if line.startswith("data: ")]
    return [part if part == "[DONE]" else orjson.loads(part) for part in data]


def _nullable(schema: Any) -> Any:
    """Return the schema with OpenAPI 3.0's `nullable` said in JSON Schema's words."""
    if isinstance(schema, list):
        return [_nullable(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: _nullable(value) for key, value in schema.items() if key != "nullable"}
    return {"anyOf": [plain, {"type": "null"}]} if schema.get("nullable") else plain

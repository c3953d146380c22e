"""From an OpenAPI 3.1 document to operations: what each takes, and where that goes in a request.

What cannot be sent rightly is refused when the document is read, not when a tool is called.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
SCHEMAS = "#/components/schemas/"
PATH = re.compile(r"(/[\w\-.~!$&'()*+,;=:@%{}]*)+", re.ASCII)
TEMPLATE = re.compile(r"\{([^{}]*)\}")
MOST_REFERENCES = 20  # one after the other
BODY = "body"  # the argument that becomes the body
# Headers that a caller's argument may not set: ours, or the connection's.
OURS = frozenset(
    [
        *("accept", "accept-encoding", "authorization", "connection", "content-length"),
        *("content-type", "cookie", "host", "idempotency-key", "proxy-authorization", "te"),
        *("trailer", "transfer-encoding", "upgrade", "user-agent"),
    ]
)
STYLES = {"path": "simple", "query": "form", "header": "simple"}

Place = Literal["path", "query", "header"]
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Parameter:
    """An argument, and where it goes."""

    name: str
    place: Place
    repeated: bool  # a list is written as name=a&name=b rather than name=a,b


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that a service does."""

    name: str  # operationId
    method: str
    path: str  # with {name} for each parameter in it
    description: str
    parameters: tuple[Parameter, ...]
    media_type: str | None  # of the body; None: there is none
    schema: Json  # of all arguments together


def server(document: Json) -> str:
    """Return the address of a service's first server; raises ValueError without one."""
    servers = document.get("servers") or [{}]
    url = servers[0].get("url", "")
    if not url or servers[0].get("variables"):
        raise ValueError("the document names no server with a fixed URL; declare `url`")
    return str(url)


def operations(document: Any, wanted: frozenset[str]) -> Iterator[Operation]:
    """Yield the operations of a parsed document that are wanted; raises ValueError."""
    if not isinstance(document, dict) or not str(document.get("openapi", "")).startswith("3.1"):
        raise ValueError("the document is not OpenAPI 3.1")
    left = set(wanted)
    for path, item in (document.get("paths") or {}).items():
        for method in METHODS:
            found = item.get(method)
            if found is None or found.get("operationId") not in left:
                continue
            left.remove(found["operationId"])
            try:
                yield _operation(document, path, method, item, found)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise ValueError(f"operation {found['operationId']}: {error}") from error
    if left:
        raise ValueError(f"the document has no operation {', '.join(sorted(left))}")


def _operation(document: Json, path: str, method: str, item: Json, found: Json) -> Operation:
    if "servers" in item or "servers" in found:
        raise ValueError("it has servers of its own, which are not supported")
    if not PATH.fullmatch(path):
        raise ValueError("its path holds what a path cannot")
    written = {}  # what an operation says wins over what its path says
    for one in [*item.get("parameters", ()), *found.get("parameters", ())]:
        parameter = _resolved(document, one)
        written[parameter["in"], parameter["name"]] = parameter
    properties: dict[str, Any] = {}
    required: list[str] = []
    parameters = []
    for parameter in written.values():
        if parameter["in"] == "header" and parameter["name"].lower() in OURS:
            continue
        name = parameter["name"]
        if name in properties:
            raise ValueError(f"two parameters are called {name}")
        parameters.append(_parameter(parameter))
        properties[name] = _described(parameter)
        if parameter.get("required") or parameter["in"] == "path":
            required.append(name)
    if set(TEMPLATE.findall(path)) != {one.name for one in parameters if one.place == "path"}:
        raise ValueError("its path and its parameters do not name the same")
    media_type = None
    if "requestBody" in found:
        body = _resolved(document, found["requestBody"])
        if BODY in properties:
            raise ValueError(f"it has a parameter called {BODY} beside its body")
        media_type = next(filter(_is_json, body["content"]), None)
        if media_type is None:
            raise ValueError("its body is not JSON")
        properties[BODY] = body["content"][media_type].get("schema", {})
        if body.get("required"):
            required.append(BODY)
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return Operation(
        name=found["operationId"],
        method=method.upper(),
        path=path,
        description="\n".join(filter(None, [found.get("summary"), found.get("description")])),
        parameters=tuple(parameters),
        media_type=media_type,
        schema=_closed(document, schema | ({"required": required} if required else {})),
    )


def _parameter(parameter: Json) -> Parameter:
    name, place = parameter["name"], parameter["in"]
    if place not in STYLES:
        raise ValueError(f"parameter {name} is in a {place}, which is not supported")
    if "schema" not in parameter or parameter.get("style", STYLES[place]) != STYLES[place]:
        raise ValueError(f"parameter {name} is written in a way that is not supported")
    repeated = place == "query" and bool(parameter.get("explode", True))
    return Parameter(name, cast(Place, place), repeated)


def _described(parameter: Json) -> Any:
    schema, text = parameter["schema"], parameter.get("description")
    return {"description": text} | schema if text and isinstance(schema, dict) else schema


def _is_json(media_type: str) -> bool:
    kind = media_type.partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def _resolved(document: Json, node: Json) -> Json:
    """Return what a node refers to, inside the document."""
    for _ in range(MOST_REFERENCES):
        if "$ref" not in node:
            return node
        if not str(node["$ref"]).startswith("#/"):
            raise ValueError(f"{node['$ref']} leads out of the document")
        target: Any = document
        for part in str(node["$ref"])[2:].split("/"):
            target = target[part.replace("~1", "/").replace("~0", "~")]
        node = target
    raise ValueError("its references lead in a circle")


def _closed(document: Json, schema: Any) -> Json:
    """Return a schema that holds everything it refers to."""
    components = (document.get("components") or {}).get("schemas") or {}
    definitions: dict[str, Any] = {}

    def moved(node: Any) -> Any:
        if isinstance(node, list):
            return [moved(one) for one in node]
        if not isinstance(node, dict):
            return node
        return {
            key: reference(value) if key == "$ref" and isinstance(value, str) else moved(value)
            for key, value in node.items()
        }

    def reference(target: str) -> str:
        name, slash, rest = target.removeprefix(SCHEMAS).partition("/")
        if not target.startswith(SCHEMAS) or name not in components:
            raise ValueError(f"{target} is no schema of the document's components")
        if name not in definitions:
            definitions[name] = None  # so that a schema may refer to itself
            definitions[name] = moved(components[name])
        return f"#/$defs/{name}{slash}{rest}"

    closed = moved(schema)
    return {**closed, "$defs": definitions} if definitions else dict(closed)

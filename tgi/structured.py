"""Answers of a given shape: the schema that goes to the server, and what comes back, checked."""

from __future__ import annotations

import json
import re
from typing import Any, TypeAlias

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from langchain_core.utils.function_calling import convert_to_json_schema
from langchain_core.utils.json_schema import dereference_refs
from pydantic import BaseModel, ValidationError
from typing_extensions import is_typeddict

from core.errors import AnswerMisfit, UnsupportedParameter
from tgi.profiles import Profile

_NAMED = re.compile(r"[^A-Za-z0-9_-]")  # what OpenAI takes in no name
CUT = "The model's answer reached its limit of tokens before its end."
Shape: TypeAlias = dict[str, Any] | type
"""A JSON schema, a pydantic class, or a TypedDict."""


def schema_of(shape: Shape) -> dict[str, Any]:
    """Return the JSON schema of a shape.

    Raises UnsupportedParameter for anything but an object with properties: TGI takes no other.
    """
    if isinstance(shape, type) and issubclass(shape, BaseModel):
        schema = shape.model_json_schema()
        if "$ref" in schema:  # of a class that contains itself: what it is stands among the others
            schema = schema["$defs"][schema.pop("$ref").rsplit("/", 1)[-1]] | schema
    elif isinstance(shape, dict):
        schema = shape
    elif is_typeddict(shape):
        schema = convert_to_json_schema(shape)
    else:
        raise UnsupportedParameter("The shape of an answer is a schema, a model or a TypedDict.")
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise UnsupportedParameter(f"This is no JSON schema: {error.message}") from error
    if "properties" not in schema:
        raise UnsupportedParameter("The shape of an answer is an object with properties.")
    return schema


def inlined(schema: dict[str, Any], profile: Profile) -> dict[str, Any]:
    """Return the schema without references, for a server that does not follow them.

    Where a schema contains itself, the inner one is left open: `parse` checks it anyway.
    """
    if not profile.inline_refs or "$defs" not in schema:
        return schema
    return {key: value for key, value in dereference_refs(schema).items() if key != "$defs"}


def response_format(schema: dict[str, Any], profile: Profile) -> dict[str, Any]:
    """Return what a chat request says to be answered in the shape of a schema."""
    schema = inlined(schema, profile)
    if profile.schema_key == "schema":
        return {"type": "json_object", "schema": schema}
    name = _NAMED.sub("_", str(schema.get("title", "answer")))[:64]
    return {"type": "json_schema", profile.schema_key: {"name": name, "schema": schema}}


def parse(shape: Shape, text: str, *, cut: bool) -> Any:
    """Return the answer as its shape has it: an instance of the pydantic class, or else a dict.

    cut: it ended at the limit of its tokens. Raises AnswerMisfit then, and for another shape.
    """
    if cut:
        raise AnswerMisfit(CUT)
    try:
        if isinstance(shape, type) and issubclass(shape, BaseModel):
            return shape.model_validate_json(text)
        read = json.loads(text)
    except ValidationError as error:
        # What the model wrote is not repeated: errors are logged, what is said here is not.
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise AnswerMisfit(_sentence(where, first["msg"])) from error
    except ValueError as error:
        raise AnswerMisfit("The model's answer is not JSON.") from error
    for wrong in Draft202012Validator(schema_of(shape)).iter_errors(read):
        where = ".".join(map(str, wrong.absolute_path))
        raise AnswerMisfit(_sentence(where, f"breaks `{wrong.validator}`"))
    return read


def _sentence(where: str, what: str) -> str:
    return f"The model's answer does not fit: {where or 'as a whole'}: {what}."

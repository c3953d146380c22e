"""Regular expressions from requests, matched in linear time: none of them can hang the server."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated

from pydantic import StringConstraints, TypeAdapter, ValidationError
from pydantic_core import SchemaError


def fits(pattern: str, text: str) -> bool:
    """Return whether `pattern` is found in `text`.

    Raises ValueError for look-around and back references, which no linear-time engine has,
    and for what is no pattern at all.
    """
    try:
        _compiled(pattern).validate_python(text)
    except ValidationError:
        return False
    return True


@lru_cache(maxsize=64)  # a pure function of the pattern
def _compiled(pattern: str) -> TypeAdapter[str]:
    try:
        return TypeAdapter(Annotated[str, StringConstraints(pattern=pattern)])
    except SchemaError as error:
        raise ValueError(f"the pattern is not supported: {pattern}") from error

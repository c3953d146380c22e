"""The limits of the embedded server, and TGI's checks of a request against them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
from jsonschema import Draft202012Validator, SchemaError

from tgi.embedded.failures import Invalid
from tgi.embedded.wire import Grammar, Parameters


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may ask, and how many requests there may be; as told by /info."""

    max_concurrent_requests: int = 128
    max_best_of: int = 2
    max_stop_sequences: int = 4
    max_top_n_tokens: int = 5
    max_input_tokens: int = 32_767
    max_total_tokens: int = 32_768
    max_client_batch_size: int = 4
    max_body_bytes: int = 2_000_000
    default_new_tokens: int = 1024


def check(wanted: Parameters, limits: Limits, *, inputs: str, stream: bool) -> None:
    """Raise Invalid, in TGI's words and TGI's order, when a parameter is out of bounds."""
    best_of = 1 if wanted.best_of is None else wanted.best_of
    sampling = wanted.do_sample or any(
        value is not None
        for value in (wanted.temperature, wanted.top_k, wanted.top_p, wanted.typical_p)
    )
    rules: tuple[tuple[bool, str], ...] = (
        (stream and best_of != 1, "`best_of` != 1 is not supported when streaming tokens"),
        (
            stream and wanted.decoder_input_details,
            "`decoder_input_details` == true is not supported when streaming tokens",
        ),
        (
            not 0 < best_of <= limits.max_best_of,
            f"`best_of` must be > 0 and <= {limits.max_best_of}. Given: {best_of}",
        ),
        (best_of > 1 and not sampling, "you must use sampling when `best_of` is > 1"),
        (_at_most_zero(wanted.temperature), "`temperature` must be strictly positive"),
        (
            _at_most_zero(wanted.repetition_penalty),
            "`repetition_penalty` must be strictly positive",
        ),
        (
            not -2.0 <= (wanted.frequency_penalty or 0.0) <= 2.0,
            "`frequency_penalty` must be >= -2.0 and <= 2.0",
        ),
        (_outside_unit(wanted.top_p), "`top_p` must be > 0.0 and < 1.0"),
        (_outside_unit(wanted.typical_p), "`typical_p` must be > 0.0 and < 1.0"),
        (_at_most_zero(wanted.top_k), "`top_k` must be strictly positive"),
        (wanted.max_new_tokens == 0, "`max_new_tokens` must be strictly positive"),
        (
            len(wanted.stop) > limits.max_stop_sequences,
            f"`stop` supports up to {limits.max_stop_sequences} stop sequences. "
            f"Given: {len(wanted.stop)}",
        ),
        (
            best_of > 1 and wanted.seed is not None,
            "`seed` must not be set when `best_of` > 1",
        ),
        (
            (wanted.top_n_tokens or 0) > limits.max_top_n_tokens,
            f"`top_n_tokens` must be >= 0 and <= {limits.max_top_n_tokens}. "
            f"Given: {wanted.top_n_tokens}",
        ),
        (not inputs, "`inputs` cannot be empty"),
        (
            wanted.truncate is not None and not 0 < wanted.truncate <= limits.max_input_tokens,
            f"`truncate` must be strictly positive and less than {limits.max_input_tokens}. "
            f"Given: {wanted.truncate}",
        ),
    )
    for broken, sentence in rules:
        if broken:
            raise Invalid(sentence)


def new_tokens(wanted: int | None, limits: Limits, *, prompt_tokens: int) -> int:
    """Return how many tokens may be generated; raises Invalid when the prompt leaves no room."""
    room = max(limits.max_total_tokens - prompt_tokens, 0)
    granted = min(room, limits.default_new_tokens) if wanted is None else wanted
    if prompt_tokens + granted > limits.max_total_tokens:
        raise Invalid(
            f"`inputs` tokens + `max_new_tokens` must be <= {limits.max_total_tokens}. "
            f"Given: {prompt_tokens} `inputs` tokens and {granted} `max_new_tokens`"
        )
    if prompt_tokens > limits.max_input_tokens:
        raise Invalid(
            f"`inputs` must have less than {limits.max_input_tokens} tokens. Given: {prompt_tokens}"
        )
    return granted


def constraint(grammar: Grammar | None) -> dict[str, Any] | None:
    """Return {"type": "json" or "regex", "value": ...}; raises Invalid for an unusable schema."""
    if grammar is None:
        return None
    if grammar.type == "regex":
        return {"type": "regex", "value": grammar.value}
    schema = grammar.value["schema"] if grammar.type == "json_schema" else grammar.value
    if isinstance(schema, str):  # a schema inside a string is read once more, as TGI does
        try:
            schema = orjson.loads(schema)
        except orjson.JSONDecodeError as error:
            raise Invalid(f"grammar is not valid: {error}") from error
    if not isinstance(schema, dict):
        raise Invalid("grammar is not supported")
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise Invalid(f"grammar is not valid: {error.message}") from error
    if "properties" not in schema:
        raise Invalid("grammar is not valid: Grammar must have a 'properties' field")
    return {"type": "json", "value": schema}


def _at_most_zero(value: float | None) -> bool:
    return value is not None and value <= 0


def _outside_unit(value: float | None) -> bool:
    return value is not None and not 0.0 < value < 1.0

"""What a tool is: a function with a schema, and a declaration of what it does to the world."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, best_match
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from pydantic import BaseModel
from referencing import Registry
from referencing.exceptions import Unresolvable

Effect = Literal["none", "internal_write", "external"]
# pure: may run any number of times. keyed: twice with one key is once. none: twice is twice.
Idempotency = Literal["pure", "keyed", "none"]
Arguments = Mapping[str, Any]
Model = TypeVar("Model", bound=BaseModel)

MOST_CHARACTERS = (
    20_000  # of a result; the model's context is small, and so is a reviewer's patience
)


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a tool does, said beside its code and never guessed. Policy reads nothing else."""

    effect: Effect
    idempotency: Idempotency
    reads_private: bool = False  # of the tenant or the user
    reads_untrusted: bool = False  # text by strangers comes back
    hosts: frozenset[str] = frozenset()  # it talks to; "*" is any
    timeout_seconds: float = 30.0
    roles: frozenset[str] = frozenset()  # one of which a user needs; none: everybody may

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if self.effect == "none" and self.idempotency != "pure":
            raise ValueError("a tool without effect may run any number of times")
        if self.effect != "none" and self.idempotency == "pure":
            raise ValueError("a tool with an effect says what happens when it runs twice")


@dataclass(frozen=True, slots=True)
class Caller:
    """On whose behalf a tool runs."""

    tenant_id: str
    user_id: str
    groups: tuple[str, ...] = ()
    roles: frozenset[str] = frozenset()
    names: tuple[str, ...] = ()  # of the user, to be masked as personal data


@dataclass(frozen=True, slots=True)
class Output:
    """What a tool gives back."""

    text: str
    sources: tuple[str, ...] = ()  # where text by strangers came from: addresses, documents


Run = Callable[[Arguments, Caller, str], Awaitable[Output]]  # the last is the idempotency key
# The same in a transaction that the caller opened, and commits together with what it notes.
Within = Callable[[AsyncConnection[TupleRow], Arguments, Caller, str], Awaitable[Output]]


class TryDifferently(Exception):
    """The call cannot succeed as it is; its text tells the model why."""

    def __init__(self, text: str, sources: tuple[str, ...] = ()) -> None:
        """sources: where parts of the text came from that strangers wrote."""
        super().__init__(text)
        self.sources = sources


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that a model may ask for."""

    name: str
    description: str  # for the model
    schema: Mapping[str, Any]  # JSON Schema of the arguments, an object
    declaration: Declaration
    run: Run
    most_characters: int = MOST_CHARACTERS
    within: Within | None = None  # for effects in our own database
    _validator: Draft202012Validator = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse a schema that is none."""
        try:
            Draft202012Validator.check_schema(self.schema)
        except SchemaError as error:
            raise ValueError(f"the schema of {self.name} is none: {error.message}") from error
        # With a registry of its own the validator fetches nothing that a schema refers to.
        object.__setattr__(
            self, "_validator", Draft202012Validator(self.schema, registry=Registry())
        )

    def fault(self, arguments: Arguments) -> str:
        """Return what is wrong with arguments, naming the place; "" when nothing is."""
        try:
            error = best_match(self._validator.iter_errors(arguments))
        except (Unresolvable, RecursionError) as failure:
            return f"the schema of the tool cannot be used ({type(failure).__name__})"
        if error is None:
            return ""
        place = error.json_path.removeprefix("$").lstrip(".")
        return f"{place}: {error.message}" if place else error.message


def typed(
    name: str,
    description: str,
    model: type[Model],
    function: Callable[[Model, Caller, str], Awaitable[Output | str]],
    declaration: Declaration,
) -> Tool:
    """Return a tool whose arguments are a pydantic model; what the model refuses is told."""

    async def run(arguments: Arguments, caller: Caller, key: str) -> Output:
        found = await function(model.model_validate(arguments), caller, key)
        return Output(found) if isinstance(found, str) else found

    return Tool(name, description, model.model_json_schema(), declaration, run)

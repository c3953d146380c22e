from __future__ import annotations

import inspect
import pickle
import re
from collections.abc import Iterator

import pytest

from core import errors
from core.errors import OperatorError, ParleyError, ThreadNotFound, UserError


def below(error: type[ParleyError]) -> Iterator[type[ParleyError]]:
    """Yield the errors of core under `error`, each before its own."""
    for child in error.__subclasses__():
        if child.__module__.startswith(f"{errors.__name__}."):
            yield child
            yield from below(child)


ALL: list[type[ParleyError]] = [ParleyError, *below(ParleyError)]


def drawn() -> dict[str, str]:
    """Return name and parent of each error in the drawing of the module's docstring."""
    parents: dict[str, str] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"^((?:[│ ]   )*)(?:├── |└── )?([A-Z]\w+)(?: {2,}|$)", line):
            depth = (len(line) - len(line.lstrip("│├└─ "))) // 4
            path = [*path[:depth], match[2]]
            parents[match[2]] = path[-2] if depth else ""
    return parents


def test_the_drawing_is_the_tree() -> None:
    """The tree in the docstring has every error under its real parent, and nothing else."""
    real = {error.__name__: error.__mro__[1].__name__ for error in ALL[1:]}
    assert drawn() == {"ParleyError": "", **real}


def test_codes_are_unique_and_stable_in_form() -> None:
    """Each error has a code of its own, in snake case."""
    codes = [vars(error)["code"] for error in ALL]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in codes)


@pytest.mark.parametrize("error", ALL, ids=lambda error: error.__name__)
def test_the_docstring_is_the_message(error: type[ParleyError]) -> None:
    """An error raised bare says its docstring, in one line that ends a sentence."""
    message = error().message
    assert message == " ".join((inspect.getdoc(error) or "").split())
    assert str(error()) == message
    assert message.endswith(".")
    assert "\n" not in message


def test_a_message_and_a_hint_can_be_given() -> None:
    """What is known better where the error is raised replaces the docstring."""
    error = ThreadNotFound("Thread 7 is gone.", hint="Start a new one.")
    assert (error.message, str(error), error.hint) == (
        "Thread 7 is gone.",
        "Thread 7 is gone.",
        "Start a new one.",
    )


def test_users_and_operators_are_told_apart() -> None:
    """No error is for the user and for the operator at once."""
    assert [
        error for error in ALL if issubclass(error, UserError) and issubclass(error, OperatorError)
    ] == []


def test_errors_travel_between_processes() -> None:
    """An error that was pickled is the same error."""
    copy = pickle.loads(pickle.dumps(ThreadNotFound("gone")))
    assert (type(copy), copy.message) == (ThreadNotFound, "gone")

"""The Dockerfile copies what runs, runs as nobody special and installs only what is locked."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

import pytest

from tests.project import HOUSE, ROOT

TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")


class Instruction(NamedTuple):
    """One instruction of a Dockerfile, its continuation lines joined."""

    stage: int
    name: str
    arguments: str


def parse(text: str) -> list[Instruction]:
    """Return the instructions in order, each with the number of its build stage from 0."""
    joined = re.sub(r"\\\n\s*", " ", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    instructions = []
    stage = -1
    for line in filter(None, map(str.strip, joined.splitlines())):
        name, _, arguments = line.partition(" ")
        stage += name == "FROM"
        instructions.append(Instruction(stage, name, arguments))
    return instructions


INSTRUCTIONS = parse(TEXT)
LAST = max(i.stage for i in INSTRUCTIONS)


def arguments(name: str) -> list[str]:
    """Return the arguments of every such instruction of the final stage."""
    return [i.arguments for i in INSTRUCTIONS if i.name == name and i.stage == LAST]


def copied() -> list[tuple[str, str]]:
    """Return source and destination of each COPY from the checkout."""
    pairs = []
    for instruction in INSTRUCTIONS:
        if instruction.name == "COPY" and not instruction.arguments.startswith("--from"):
            *sources, destination = instruction.arguments.split()
            pairs += [(source, destination) for source in sources]
    return pairs


def ignored(path: str) -> bool:
    """Return whether .dockerignore keeps a path of the checkout out of the build."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert lines.index("*") < lines.index("!core"), "everything is left out first"
    return f"!{path}" not in lines


@pytest.mark.parametrize(("source", "destination"), copied())
def test_what_is_copied_exists_and_reaches_the_build(source: str, destination: str) -> None:
    """Each COPY source is in the checkout and let through by .dockerignore."""
    assert (ROOT / source).exists()
    assert not ignored(source)
    assert destination


def test_every_room_of_the_product_is_in_the_image() -> None:
    """All folders of ours are copied except evals, which judges the product from outside."""
    assert set(HOUSE) - {"evals"} <= {source for source, _ in copied()}


@pytest.mark.parametrize("path", [".env", ".git", ".parley", ".venv", "tests", "evals"])
def test_secrets_and_data_stay_outside(path: str) -> None:
    """Passwords, data, history and tests are not sent to the build."""
    assert ignored(path)


def test_base_images_are_pinned() -> None:
    """Each stage starts from the same exact version of Python."""
    bases = {i.arguments.split()[0] for i in INSTRUCTIONS if i.name == "FROM"}
    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.1[123]\.\d+-slim-\w+", bases.pop())


def test_packages_are_the_locked_ones() -> None:
    """Packages come from requirements.lock, each checked against its hash."""
    [install] = [i.arguments for i in INSTRUCTIONS if "pip install" in i.arguments]
    assert "--no-deps --require-hashes" in install
    assert install.endswith("-r requirements.lock")


def test_the_server_is_not_root() -> None:
    """The last USER is an account made for Parley."""
    user = arguments("USER")[-1]
    assert user not in ("root", "0")
    assert any(
        f"useradd --create-home --uid 10001 --user-group {user}" in r for r in arguments("RUN")
    )


def test_the_vendor_of_the_guards_is_told_nothing() -> None:
    """The home of that account has the file that switches guardrails-ai's telemetry off."""
    home = re.search(r"HOME=(\S+)", arguments("ENV")[0])
    assert home
    assert ("deploy/guardrailsrc", f"{home[1]}/.guardrailsrc") in copied()
    assert (ROOT / "deploy/guardrailsrc").read_text(encoding="utf-8") == "enable_metrics=false\n"


def test_the_container_serves_and_says_how_it_is() -> None:
    """The command is the api, run without a shell so that it gets the stop signal; it is probed."""
    assert json.loads(arguments("CMD")[-1]) == ["python", "-m", "api", "serve"]
    probe = arguments("HEALTHCHECK")[-1].partition("CMD ")[2]
    python, flag, code = json.loads(probe)
    assert (python, flag) == ("python", "-c")
    compile(code, "HEALTHCHECK", "exec")
    assert "/health" in code

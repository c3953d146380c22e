"""Prompts are versioned files; this loads and renders them.

A file opens with YAML front matter (`name`, `version`), then one section per message:
a heading `# system`, `# user` or `# assistant`, and `# history` where the earlier
messages of the conversation go.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, StrictUndefined, Template

from core.turn import HistoryMessage, PromptRecord

_FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
_HEADING = re.compile(r"^# (system|user|assistant|history)\n", re.MULTILINE)
# Text from outside must not be able to close its fence or open another one.
_FENCE = re.compile(r"<(/?)(source|question)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Prompt:
    """One version of one prompt."""

    name: str
    version: int
    sha256: str
    sections: tuple[tuple[str, Template], ...]  # (role, template)

    @property
    def rules(self) -> str:
        """Our own part of the system message: what an answer must not give away."""
        return self.sections[0][1].render(instructions="").strip()

    def render(self, history: Sequence[HistoryMessage], **variables: Any) -> PromptRecord:
        """Return the messages to send; raises jinja2.UndefinedError for a missing variable."""
        messages: list[dict[str, Any]] = []
        for role, template in self.sections:
            if role == "history":
                messages += [dict(message) for message in history]
            else:
                content = template.render(**variables).strip()
                messages.append({"role": role, "content": content})
        return PromptRecord(
            name=self.name, version=self.version, sha256=self.sha256, messages=messages
        )


class Prompts:
    """The prompts of a folder, by name."""

    def __init__(self, prompts: dict[str, Prompt]) -> None:
        self._prompts = prompts

    @classmethod
    def load(cls, folder: Path | None = None) -> Prompts:
        """Read all `*.md` of `folder` (default: beside this module)."""
        environment = Environment(
            undefined=StrictUndefined,
            autoescape=False,  # noqa: S701 - prompts are text; `fenced` and `attribute` escape
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters["fenced"] = fenced
        environment.filters["attribute"] = attribute
        prompts = {}
        for path in sorted((folder or Path(__file__).parent).glob("*.md")):
            prompt = _parse(path.read_text(encoding="utf-8"), environment, path.name)
            prompts[prompt.name] = prompt
        return cls(prompts)

    def __getitem__(self, name: str) -> Prompt:
        """Return the prompt called `name`."""
        return self._prompts[name]

    def __iter__(self) -> Any:
        """Iterate over the names."""
        return iter(self._prompts)


def fenced(text: str) -> str:
    """Return `text` with tags of our own fence made harmless."""
    return _FENCE.sub(r"‹\1\2", text)


def attribute(text: str) -> str:
    """Return `text` fit to stand between double quotes, on one line."""
    return " ".join(fenced(text).replace('"', "'").split())


def _parse(raw: str, environment: Environment, file_name: str) -> Prompt:
    matter = _FRONT_MATTER.match(raw)
    if matter is None:
        raise ValueError(f"{file_name} has no front matter")
    head = yaml.safe_load(matter.group(1))
    parts = _HEADING.split(raw[matter.end() :])
    sections = tuple(
        (role, environment.from_string(text))  # compiled once: it costs more than a turn's SQL
        for role, text in zip(parts[1::2], parts[2::2], strict=True)
    )
    if not sections:
        raise ValueError(f"{file_name} has no section")
    return Prompt(
        name=head["name"],
        version=head["version"],
        sha256=hashlib.sha256(raw.encode()).hexdigest(),
        sections=sections,
    )

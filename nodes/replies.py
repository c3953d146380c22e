"""Sentences that Parley says without a model: refusals, clarifying questions, "I don't know"."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, StrictUndefined

DEFAULT_REPLIES = Path(__file__).with_name("replies.yaml")


class Replies:
    """Templates by name."""

    def __init__(self, templates: dict[str, str]) -> None:
        # A chat message is text, not HTML: what shows it escapes it.
        environment = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701
        self._templates = {
            name: environment.from_string(text.strip()) for name, text in templates.items()
        }

    @classmethod
    def load(cls, path: Path = DEFAULT_REPLIES) -> Replies:
        """Read the templates of `path`."""
        return cls(yaml.safe_load(path.read_text(encoding="utf-8")))

    def say(self, name: str, **variables: Any) -> str:
        """Return the reply `name`; raises KeyError when there is none."""
        return self._templates[name].render(**variables).strip()

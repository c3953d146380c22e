"""Prompts are versioned files: NAME/VERSION.md; the highest version is the one in use.

A version that was used once never changes (versions.json remembers it): the log of a turn names
the version, and so its text can be read again years later.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from nodes.prompts.parse import attribute, environment, fenced, parse
from nodes.prompts.prompt import Limits, Prompt

__all__ = ["FOLDER", "Limits", "Prompt", "Prompts", "attribute", "fenced"]

FOLDER = Path(__file__).parent


class Prompts:
    """The prompts of a folder, by name and version."""

    def __init__(self, prompts: Iterable[Prompt]) -> None:
        self._versions: dict[str, dict[int, Prompt]] = {}
        for prompt in sorted(prompts, key=lambda prompt: (prompt.name, prompt.version)):
            self._versions.setdefault(prompt.name, {})[prompt.version] = prompt

    @classmethod
    def load(cls, folder: Path = FOLDER) -> Prompts:
        """Read all NAME/VERSION.md of `folder`; raises PromptInvalid."""
        shared = environment()
        return cls(parse(path, shared) for path in sorted(folder.glob("*/*.md")))

    def __getitem__(self, name: str) -> Prompt:
        """Return the newest version of the prompt called `name`; raises KeyError."""
        return self.version(name, max(self._versions[name]))

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, in alphabetical order."""
        return iter(self._versions)

    def __contains__(self, name: object) -> bool:
        """Return whether there is a prompt of this name."""
        return name in self._versions

    def version(self, name: str, number: int) -> Prompt:
        """Return one version of a prompt; raises KeyError."""
        return self._versions[name][number]

    def versions(self, name: str) -> list[Prompt]:
        """Return all versions of a prompt, the oldest first; raises KeyError."""
        return list(self._versions[name].values())

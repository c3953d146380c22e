"""Remembers which text each version of a prompt has, so that none of them ever changes."""

from __future__ import annotations

import json
from pathlib import Path

from core.errors import PromptInvalid
from nodes.prompts import Prompts

NAME = "versions.json"


def recorded(folder: Path) -> dict[str, dict[int, str]]:
    """Return the hash of each version that was recorded, by name of the prompt."""
    try:
        text = (folder / NAME).read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    return {
        name: {int(version): sha256 for version, sha256 in versions.items()}
        for name, versions in json.loads(text).items()
    }


def unrecorded(prompts: Prompts, folder: Path) -> list[str]:
    """Return the new versions as "NAME VERSION".

    Raises PromptInvalid when one that was recorded has changed, or is gone.
    """
    known, found = recorded(folder), _hashes(prompts)
    for name, versions in known.items():
        for version, sha256 in versions.items():
            now = found.get(name, {}).get(version)
            if now is None:
                raise PromptInvalid(f"{name}/{version}.md is gone: logs of turns refer to it.")
            if now != sha256:
                raise PromptInvalid(
                    f"{name}/{version}.md is not what was recorded: undo the change, "
                    f"and make it in {name}/{max(found[name]) + 1}.md."
                )
    return [
        f"{name} {version}"
        for name, versions in found.items()
        for version in versions
        if version not in known.get(name, {})
    ]


def record(prompts: Prompts, folder: Path) -> list[str]:
    """Record the new versions and return them as "NAME VERSION"; raises PromptInvalid."""
    new = unrecorded(prompts, folder)
    text = json.dumps(_hashes(prompts), indent=1) + "\n"
    (folder / NAME).write_text(text, encoding="utf-8")
    return new


def _hashes(prompts: Prompts) -> dict[str, dict[int, str]]:
    return {
        name: {prompt.version: prompt.sha256 for prompt in prompts.versions(name)}
        for name in prompts
    }

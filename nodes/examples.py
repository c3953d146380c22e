"""The examples by intent, as people edit them: YAML files, checked before anybody learns.

    intent name: list of sentences

A tenant's file adds its sentences to the shipped ones; with `extends: false` it stands alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from core.errors import SettingsInvalid
from core.turn import Intent

DEFAULT_EXAMPLES = Path(__file__).with_name("intents.yaml")
MAX_BYTES = 1_000_000
MAX_EXAMPLES = 3000  # beyond, learning takes seconds: its time grows with the third power
MAX_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class Examples:
    """Sentences by intent, each intent with at least one, no sentence twice."""

    sentences: dict[Intent, tuple[str, ...]]

    @property
    def digest(self) -> str:
        """Return a hash of what is learned from."""
        lines = (f"{label}\t{text}" for label, text in self.pairs())
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Yield (intent, text) of each sentence, and of the name of each intent: it says much."""
        for intent, sentences in self.sentences.items():
            for text in sentences:
                yield intent.value, text
            yield intent.value, intent.value.replace("_", " ")


def read(path: Path, shipped: Examples | None = None) -> Examples:
    """Return the examples of a file; `shipped` is what a tenant's file adds to.

    Raises SettingsInvalid that names the file and every fault in it.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SettingsInvalid(f"{path.name}: larger than {MAX_BYTES} bytes")
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise SettingsInvalid(f"{path.name}: not valid YAML: {' '.join(str(error).split())}") from (
            error
        )
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsInvalid(f"{path.name}: cannot be read: {error}") from error
    if not isinstance(raw, dict):
        raise SettingsInvalid(f"{path.name}: a mapping of intent to sentences is wanted")
    extends = raw.pop("extends", True)
    faults = [] if isinstance(extends, bool) else ["extends: true or false is wanted"]
    base = shipped.sentences if shipped is not None and extends else {}
    found = _check(raw, base, faults)
    if len(found) < 2 and not faults:
        faults.append("at least two intents are wanted")
    if sum(map(len, found.values())) > MAX_EXAMPLES:
        faults.append(f"more than {MAX_EXAMPLES} sentences")
    if faults:
        raise SettingsInvalid(f"{path.name}: {'; '.join(faults)}")
    return Examples(found)


def _check(
    raw: dict[Any, Any], base: dict[Intent, tuple[str, ...]], faults: list[str]
) -> dict[Intent, tuple[str, ...]]:
    """Return `base` and what is right in `raw`; add what is wrong to `faults`."""
    known = {intent.value: intent for intent in Intent}
    found = dict(base)
    where: dict[str, str] = {}
    for name, sentences in raw.items():
        if name not in known:
            faults.append(f"{name}: unknown intent; there are {', '.join(known)}")
            continue
        if not isinstance(sentences, list) or not sentences:
            faults.append(f"{name}: a list of sentences is wanted")
            continue
        for number, text in enumerate(sentences, 1):
            # An unquoted `No` or `12:30` is no text to YAML.
            if not isinstance(text, str) or not text.strip():
                faults.append(f"{name}, {number}: text is wanted; put it in quotes")
            elif len(text) > MAX_CHARACTERS:
                faults.append(f"{name}, {number}: longer than {MAX_CHARACTERS} characters")
            elif (other := where.setdefault(text.strip().casefold(), name)) != name:
                faults.append(f"{name}, {number}: stands under {other} already")
        texts = [text.strip() for text in sentences if isinstance(text, str) and text.strip()]
        found[known[name]] = tuple(dict.fromkeys([*found.get(known[name], ()), *texts]))
    # What a tenant's file says about a sentence goes before what the shipped one says.
    return {
        intent: kept
        for intent, texts in found.items()
        if (
            kept := tuple(
                text for text in texts if where.get(text.casefold(), intent.value) == intent.value
            )
        )
    }

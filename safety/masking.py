"""Personal data of one conversation, as a model sees it: placeholders in place of values."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from safety.forms import FORMS
from safety.placeholders import Placeholders
from safety.policy import TenantPolicy
from safety.verdict import About


class Masks:
    """What a model reads in place of personal data; this one lets it read everything."""

    @property
    def known(self) -> dict[str, str]:
        """Return every placeholder of the conversation with its value, or a digest of it."""
        return {}

    def mask(self, text: str) -> str:
        """Return a text as the model may see it."""
        return text

    def answer(self, text: str) -> str:
        """Return what the model said as the user may see it."""
        return text

    def restored(self, text: str) -> str:
        """Return a text that stays on the server with what its placeholders stand for."""
        return text

    def arguments(self, text: str) -> str:
        """Return the arguments of a call, as JSON, with what placeholders stand for."""
        return text

    def masked(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of a call as the model may see them again."""
        return arguments


OPEN = Masks()


class Placeholding(Masks):
    """Masks what goes to a model and restores what comes back, where the policy says so."""

    def __init__(
        self,
        policy: TenantPolicy,
        about: About,
        known: Mapping[str, str],
        key: bytes | None = None,
    ) -> None:
        """known: the placeholders of the conversation so far. key: where values are not kept."""
        self._placeholders = Placeholders(known, key=None if policy.masking.reversible else key)
        self._detector = FORMS["pii"](policy, about)
        self._restore = policy.masking.restore

    @property
    def known(self) -> dict[str, str]:
        return self._placeholders.to_dict()

    def mask(self, text: str) -> str:
        hits = self._detector.find(text) if self._detector is not None else ()
        return self._placeholders.mask(text, hits)

    def answer(self, text: str) -> str:
        return self._placeholders.restore(text) if "answer" in self._restore else text

    def restored(self, text: str) -> str:
        return self._placeholders.restore(text)

    def arguments(self, text: str) -> str:
        """See Masks.arguments; what is no JSON stays as it is: it is refused anyway."""
        if "tools" not in self._restore:
            return text
        try:
            parsed = json.loads(text)
        except ValueError:
            return text
        restored = each(parsed, self._placeholders.restore)
        return text if restored == parsed else json.dumps(restored, ensure_ascii=False)

    def masked(self, arguments: dict[str, Any]) -> dict[str, Any]:
        return dict(each(arguments, self.mask))


def each(value: Any, change: Callable[[str], str]) -> Any:
    """Return plain data with every text in it changed; names of fields stay."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {name: each(inner, change) for name, inner in value.items()}
    if isinstance(value, list):
        return [each(inner, change) for inner in value]
    return value

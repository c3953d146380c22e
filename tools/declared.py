"""What an operator says about tools that come from elsewhere, in files of YAML or JSON."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

from core.files import Closed
from tools.tool import Declaration, Effect, Idempotency

PREFIX = r"^[A-Za-z0-9-]+(_[A-Za-z0-9-]+)*$"  # of names of tools: without "__", which ends it
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # what servers of models take for a tool's name


class Declared(Closed):
    """What a tool does. Unless it says otherwise, private text and text by strangers come back."""

    effect: Effect
    idempotency: Idempotency
    reads_private: bool = True
    reads_untrusted: bool = True
    timeout_seconds: Annotated[float, Field(gt=0, le=300)] | None = None
    roles: frozenset[str] = frozenset()
    description: str | None = None  # for the model, instead of the one it comes with

    def declaration(self, hosts: frozenset[str], *, seconds: float) -> Declaration:
        """Return it as policy reads it; raises ValueError where it contradicts itself.

        seconds: time that a call may take where nothing is said.
        """
        said = self.model_dump(exclude={"description", "timeout_seconds"})
        return Declaration(**said, hosts=hosts, timeout_seconds=self.timeout_seconds or seconds)


def full_name(prefix: str, name: str) -> str:
    """Return the name of a tool that comes from elsewhere; raises ValueError for an unfit one."""
    full = f"{prefix}__{name}"
    if not NAME.fullmatch(full):
        raise ValueError(f"{full[:80]!r} cannot be the name of a tool")
    return full

"""SQL statements, kept in a `.sql` file beside the module that runs them.

A file holds statements under a name, with a description:

    -- get --
    -- One thread.
    select … from threads where thread_id = %(thread_id)s
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import LiteralString

_HEADING = re.compile(r"^-- (\w+) --[ \t]*\n", re.MULTILINE)


def load(module: str) -> Mapping[str, LiteralString]:
    """Return the statements of the `.sql` file beside `module`, by name; read at first use.

    module: the caller's `__file__`.
    """
    return _Statements(Path(module).with_suffix(".sql"))


class _Statements(Mapping[str, LiteralString]):
    """Statements by name. They count as literals: somebody wrote and reviewed them."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @cached_property
    def _named(self) -> dict[str, LiteralString]:
        _, *parts = _HEADING.split(self._path.read_text(encoding="utf-8"))
        found: dict[str, LiteralString] = {}
        for name, body in zip(parts[::2], parts[1::2], strict=True):
            if name in found:
                raise ValueError(f"{self._path} holds two statements named {name}")
            lines = [line for line in body.splitlines() if not line.startswith("--")]
            found[name] = "\n".join(lines).strip()
        return found

    def __getitem__(self, name: str) -> LiteralString:
        return self._named[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._named)

    def __len__(self) -> int:
        return len(self._named)

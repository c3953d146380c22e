"""SQL statements, kept in a `.sql` file beside the module that runs them.

A file holds statements under a name, with a description:

    -- get --
    -- One thread.
    select … from threads where thread_id = %(thread_id)s
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, LiteralString

Statement = tuple[LiteralString, Mapping[str, Any]]
"""A statement with its parameters, for `Database.once`."""

_HEADING = re.compile(r"^-- (\w+) --[ \t]*\n", re.MULTILINE)


def load(module: str) -> Mapping[str, LiteralString]:
    """Return the statements of the `.sql` file beside `module`, by name; read at first use.

    module: the caller's `__file__`.
    """
    return _Statements(Path(module).with_suffix(".sql"))


def read_ahead(folder: Path) -> None:
    """Read all statements in a folder, from a thread: later it would block the event loop."""
    for path in folder.glob("*.sql"):
        _read(path)


class _Statements(Mapping[str, LiteralString]):
    """Statements by name. They count as literals: somebody wrote and reviewed them."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __getitem__(self, name: str) -> LiteralString:
        return _read(self._path)[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_read(self._path))

    def __len__(self) -> int:
        return len(_read(self._path))


@cache
def _read(path: Path) -> dict[str, LiteralString]:
    _, *parts = _HEADING.split(path.read_text(encoding="utf-8"))
    found: dict[str, LiteralString] = {}
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        if name in found:
            raise ValueError(f"{path} holds two statements named {name}")
        lines = [line for line in body.splitlines() if not line.startswith("--")]
        found[name] = "\n".join(lines).strip()
    return found

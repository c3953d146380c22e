"""API keys: whose they are stands in a file of the operator's, by the SHA-256 of each.

The file is read again when it changes, so a key is revoked by taking its entry out. A file that
cannot be read any more lets nobody in: keeping the old keys would keep the revoked one.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import RootModel, StringConstraints, field_validator

from core.errors import NotAuthenticated, SettingsInvalid
from core.files import Closed, read
from tools.tool import Caller

VARIABLE = "API_KEYS_FILE"
PREFIX = "pk-"
KEY_BYTES = 32  # of chance in a key
NAME = r"^[A-Za-z0-9_.@-]{1,64}$"

Role = Literal["user", "reviewer", "engineer", "admin"]
Name = Annotated[str, StringConstraints(pattern=NAME)]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Group = Annotated[str, StringConstraints(min_length=1, max_length=200)]
FullName = Annotated[str, StringConstraints(min_length=2, max_length=100, strip_whitespace=True)]
Stamp = tuple[int, int, int]  # time of the last change, size and number of a file
log = logging.getLogger(__name__)


class Entry(Closed):
    """A key, by its digest, and who has it."""

    sha256: Digest
    tenant: Name = "default"
    user: Name
    roles: tuple[Role, ...] = ("user",)
    groups: tuple[Group, ...] = ()
    name: FullName | None = None  # is masked where personal data is

    def caller(self) -> Caller:
        """Return who the holder of the key is."""
        names = (self.name,) if self.name else ()
        return Caller(self.tenant, self.user, self.groups, frozenset(self.roles), names)


class KeysFile(RootModel[tuple[Entry, ...]]):
    """All keys there are."""

    @field_validator("root")
    @classmethod
    def _are_different(cls, entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
        if len({entry.sha256 for entry in entries}) < len(entries):
            raise ValueError("a key is listed twice")
        return entries


class Keys:
    """The keys of a file as it is now."""

    def __init__(self, path: Path) -> None:
        """Raises SettingsInvalid, naming the place, when the file is not one of keys."""
        self._path = path
        self._stamp: Stamp | None = None
        self._callers: Mapping[str, Caller] = {}
        self._fault: SettingsInvalid | None = None
        self._load()
        if self._fault is not None:
            raise self._fault

    async def holder(self, key: str) -> Caller:
        """Return who holds a key; raises NotAuthenticated, and SettingsInvalid as at the start."""
        if self._changed():
            await asyncio.to_thread(self._load)
        if self._fault is not None:
            raise SettingsInvalid("The keys cannot be read at the moment; the log says why.")
        # What is compared is a digest, so the time that takes says nothing about any key.
        caller = self._callers.get(digest(key))
        if caller is None:
            raise NotAuthenticated("There is no such API key.")
        return caller

    def _changed(self) -> bool:
        return self._now() != self._stamp

    def _now(self) -> Stamp | None:
        try:
            found = os.stat(self._path)  # noqa: PTH116  # of a path that is known, in microseconds
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _load(self) -> None:
        stamp = self._now()  # before the file is read: what changes meanwhile is read again
        try:
            entries = read(self._path, KeysFile, VARIABLE).root
            callers, fault = {entry.sha256: entry.caller() for entry in entries}, None
        except SettingsInvalid as error:
            log.error("the keys cannot be read: %s", error.message)
            callers, fault = {}, error
        self._callers, self._fault, self._stamp = callers, fault, stamp


def digest(key: str) -> str:
    """Return what stands in the file instead of a key. Keys are long and random: no salt."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def new_key() -> str:
    """Return a key that nobody has."""
    return PREFIX + secrets.token_urlsafe(KEY_BYTES)


def entry_of(
    key: str,
    *,
    tenant: str,
    user: str,
    roles: Sequence[str],
    groups: Sequence[str],
    name: str | None = None,
) -> str:
    """Return the lines for the file; raises pydantic's ValidationError for what does not fit."""
    entry = Entry.model_validate(
        {
            "sha256": digest(key),
            "tenant": tenant,
            "user": user,
            "roles": list(roles),
            "groups": list(groups),
            "name": name,
        }
    )
    fields = entry.model_dump(mode="json", exclude_none=True)
    written: str = yaml.safe_dump([fields], sort_keys=False, allow_unicode=True)
    return written

"""The data folder: what lies where, who holds what, and what it refuses to touch.

FOLDER/
├── data/            the cluster; made as data.incomplete and renamed when it is whole
├── socket/          the Unix socket, for this user only (elsewhere when the path is too long)
├── postgres.log     what the server says
├── lock             held while somebody starts or stops the server
├── users            held, shared, by every process that uses the server
├── server           held by the server itself: it inherits the lock and dies with it
└── keeper           held by the process that stops the server once `users` is free

The last four are locks (see locks.py).
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from core.errors import DataFolderUnusable
from db.embedded.binaries import MAJOR

_OURS = frozenset(
    (
        *("data", "data.incomplete", "socket", "postgres.log", "postgres.log.1"),
        *("lock", "users", "server", "keeper", "programs", "programs.incomplete"),
        *("lost+found", ".gitignore", ".DS_Store"),  # not ours, and nothing to worry about
    )
)
_LONGEST_SOCKET_FOLDER = 80  # bytes; the address with its file name must fit 104 (macOS)
_PLAIN_PATH = re.compile(r"[\w/. +@-]+")  # libpq and Postgres both split hosts at commas


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Paths of one data folder."""

    root: Path

    @property
    def cluster(self) -> Path:
        """The data of Postgres."""
        return self.root / "data"

    @property
    def incomplete(self) -> Path:
        """A cluster in the making; it holds nothing anybody ever wrote."""
        return self.root / "data.incomplete"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.root / "postgres.log"

    @property
    def programs(self) -> Path:
        """A copy of the binaries, where one is needed."""
        return self.root / "programs"

    @property
    def door(self) -> Path:
        """Lock: held while somebody starts or stops the server."""
        return self.root / "lock"

    @property
    def users(self) -> Path:
        """Lock: shared by every process that uses the server."""
        return self.root / "users"

    @property
    def server(self) -> Path:
        """Lock: held by the server and its children."""
        return self.root / "server"

    def prepare(self) -> None:
        """Make the folder where it is missing; raises DataFolderUnusable for a foreign one."""
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            names = {path.name for path in self.root.iterdir()}
        except (FileExistsError, NotADirectoryError) as error:
            raise DataFolderUnusable(f"{self.root} is a file, not a folder.") from error
        if "PG_VERSION" in names:
            raise DataFolderUnusable(
                f"{self.root} is a data folder of another Postgres, not of Parley.",
                hint="Set DATABASE_FOLDER to an empty folder, "
                "or start that Postgres and set DATABASE_URL.",
            )
        if foreign := sorted(names - _OURS):
            raise DataFolderUnusable(
                f"{self.root} holds other files ({', '.join(foreign[:3])}).",
                hint="Set DATABASE_FOLDER to an empty folder.",
            )
        self._check_version()

    def _check_version(self) -> None:
        """Refuse data that this Postgres cannot read."""
        if not self.cluster.exists():
            return
        try:
            version = (self.cluster / "PG_VERSION").read_text().strip()
        except FileNotFoundError as error:
            raise DataFolderUnusable(
                f"{self.cluster} is not the data of a Postgres server.",
                hint="Restore it from a backup, or move it away to begin with an empty database.",
            ) from error
        if version != str(MAJOR):
            raise DataFolderUnusable(
                f"{self.cluster} was made by Postgres {version}; Parley now brings {MAJOR}.",
                hint=f"Dump it with the version of Parley that made it (pg_dump), set "
                f"DATABASE_FOLDER to an empty folder and restore it into Postgres {MAJOR}.",
            )

    def socket(self, owner: int) -> Path:
        """Return a private folder for the socket, made if need be, short enough for an address.

        owner: the user to whom it has to belong; anybody else's is refused.
        """
        folder = self.root / "socket"
        if not _fits(folder):
            name = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]
            short = Path(tempfile.gettempdir()) / f"parley-{owner}-{name}"
            folder = short if _fits(short) else Path("/tmp") / short.name  # noqa: S108 - see below
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            pass
        else:
            os.chown(folder, owner, -1)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (owner, os.geteuid()):
            raise DataFolderUnusable(
                f"{folder} belongs to somebody else, so the database socket is not safe there.",
                hint="Remove it, or set DATABASE_FOLDER to a shorter path.",
            )
        if found.st_uid != owner:
            os.chown(folder, owner, -1)
        folder.chmod(0o700)
        return folder


def _fits(path: Path) -> bool:
    text = str(path)
    return len(os.fsencode(text)) <= _LONGEST_SOCKET_FOLDER and bool(_PLAIN_PATH.fullmatch(text))

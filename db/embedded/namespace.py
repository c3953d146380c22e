"""Run a command as an ordinary user of a new user namespace, so that root may start Postgres.

Usage: python namespace.py UID GID COMMAND…

Outside the namespace the process stays what it was: files it makes belong to the caller.
It is a program of its own because a namespace can only be made by a process with one thread.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

CLONE_NEWUSER = 0x10000000  # linux/sched.h; os.unshare exists from Python 3.12 on only


def main(uid: str, gid: str, *command: str) -> None:
    """Become `uid`:`gid` of a new namespace and replace this process by the command."""
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    process = Path("/proc/self")
    (process / "setgroups").write_text("deny")  # the kernel asks for it before a gid_map
    (process / "uid_map").write_text(f"{uid} {outer_uid} 1")
    (process / "gid_map").write_text(f"{gid} {outer_gid} 1")
    os.execv(command[0], command)  # noqa: S606 - there is no shell in between, which is the point


if __name__ == "__main__":
    main(*sys.argv[1:])

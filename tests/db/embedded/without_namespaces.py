"""Run a command as root where user namespaces are forbidden, as in most containers.

Usage: python without_namespaces.py COMMAND… ; exits with 77 where that cannot be arranged.
The command runs in a user namespace of its own whose limit for further ones is zero.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path


def main(*command: str) -> int:
    """Return the command's exit status."""
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        entered = ctypes.CDLL(None).unshare(0x10000000) == 0
        os.write(ready[1], b"y" if entered else b"n")
        if not entered or os.read(go[0], 1) != b"y":
            os._exit(77)
        Path("/proc/sys/user/max_user_namespaces").write_text("0")
        os.execv(command[0], command)
    if os.read(ready[0], 1) == b"y":
        try:
            for map_ in ("uid_map", "gid_map"):  # everybody stays who they are
                Path(f"/proc/{child}/{map_}").write_text("0 0 65536")
            os.write(go[1], b"y")
        except OSError:
            os.write(go[1], b"n")
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

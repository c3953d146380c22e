"""Starting and stopping the server of a data folder. Blocking: call it from a thread."""

from __future__ import annotations

import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg

from core.errors import DatabaseUnavailable, DataFolderUnusable
from db.embedded.binaries import Binaries
from db.embedded.folder import DataFolder
from db.embedded.locks import claim

DATABASE = "parley"
NOT_READY = "not ready"
_PORT = 5432  # names the socket file; nothing listens on TCP
_LOG_LIMIT_BYTES = 5_000_000
_STOP_SECONDS = 60.0
# One call that flushes the file system instead of one per file: three times as fast at the
# first start and after a crash on a busy disk (1.4 s instead of 4.5 s, measured).
_SYNCFS = sys.platform == "linux"
_SETTINGS = {
    **({"recovery_init_sync_method": "syncfs"} if _SYNCFS else {}),
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "64",
    "shared_buffers": "128MB",
    "maintenance_work_mem": "256MB",  # building HNSW is 3x slower with the default of 64 MB
    "max_wal_size": "512MB",
    "jit": "off",
    # Parallel workers share memory through /dev/shm, of which a container has 64 MB.
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    # What users write must not reach the log, not even inside a failed statement.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
}
_SERIOUS = re.compile(r"(FATAL|PANIC): .*|^(?!.*FATAL).*(error:|could not|No space).*")
_KEEPER = Path(__file__).with_name("keeper.py")
_log = logging.getLogger(__name__)


def url(socket: Path, role: str, database: str = DATABASE) -> str:
    """Return the address of a database behind this socket."""
    return f"postgresql://{role}@/{quote(database)}?host={quote(str(socket), safe='')}&port={_PORT}"


def create(folder: DataFolder, binaries: Binaries, settings: Mapping[str, str]) -> None:
    """Make the cluster; what an interrupted attempt left is made anew."""
    if folder.incomplete.exists():
        shutil.rmtree(folder.incomplete)
    folder.incomplete.mkdir(mode=0o700)
    if binaries.uid is not None:
        os.chown(folder.incomplete, binaries.uid, binaries.gid or -1)
    arguments = ["-D", str(folder.incomplete), "-U", "postgres", "-A", "trust", "-E", "UTF8"]
    # The C library's C locale folds ASCII only: full-text search would miss "Äpfel".
    arguments += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    if settings.get("fsync") == "off":
        arguments += ["--no-sync"]
    elif _SYNCFS:
        arguments += ["--sync-method=syncfs"]
    process = binaries.start("initdb", arguments, output=subprocess.PIPE)
    output = process.communicate()[0].decode(errors="replace")
    if process.returncode != 0:
        shutil.rmtree(folder.incomplete, ignore_errors=True)
        raise DataFolderUnusable(f"The database could not be created: {_complaint(output)}")
    folder.incomplete.rename(folder.cluster)
    _sync(folder.root)


def launch(
    folder: DataFolder, binaries: Binaries, lock: int, settings: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start Postgres, which inherits the descriptor `lock`; does not wait until it is ready.

    Whoever holds `lock` knows that no server runs here, whatever old files say.
    """
    if (stranger := running(folder)) is not None:
        raise DataFolderUnusable(
            f"A Postgres that Parley did not start (process {stranger.pid}) uses {folder.cluster}.",
            hint="Stop it first, with `pg_ctl stop` or by a SIGINT.",
        )
    socket = folder.socket(binaries.owner)
    for file in (folder.cluster / "postmaster.pid", socket / f".s.PGSQL.{_PORT}.lock"):
        _disown(file)
    chosen = {**_SETTINGS, "unix_socket_directories": f'"{socket}"', **settings}
    arguments = ["-D", str(folder.cluster), "-p", str(_PORT)]
    for name, value in chosen.items():
        arguments += ["-c", f"{name}={value}"]
    if folder.log.exists() and folder.log.stat().st_size > _LOG_LIMIT_BYTES:
        folder.log.replace(folder.log.with_name(folder.log.name + ".1"))
    descriptor = os.open(folder.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "ab") as log:
        return binaries.start("postgres", arguments, output=log, keep=[lock])


def keep(folder: DataFolder) -> None:
    """See that the server is stopped when its last user is gone, even if that was killed."""
    subprocess.run(
        [sys.executable, "-I", "-S", str(_KEEPER), str(folder.root)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
        check=False,
    )


def _disown(file: Path) -> None:
    """Put our process id into a lock file that a dead server left behind.

    Postgres takes the recorded process for alive when anything has that number, and would
    refuse to start for as long as that lives. It ignores the number of its own parent, and
    then still looks for orphans in shared memory; deleting the file would skip that.
    """
    try:
        lines = file.read_text().split("\n")
    except FileNotFoundError:
        return
    file.write_text("\n".join([str(os.getpid()), *lines[1:]]))


def socket_of(folder: DataFolder, owner: int) -> Path:
    """Return where the running server listens, as its own file says, or where it would."""
    lines = _lock_file(folder)
    return Path(lines[4]) if len(lines) > 4 and lines[4] else folder.socket(owner)


def problem(folder: DataFolder, socket: Path) -> str | None:
    """Return what keeps the server behind this socket from serving; None when nothing does."""
    if _lock_file(folder)[7:8] != ["ready   "]:  # asking earlier would only fill its log
        return NOT_READY
    try:
        psycopg.connect(url(socket, "postgres", "postgres"), connect_timeout=5).close()
    except psycopg.OperationalError as error:
        return str(error)
    return None


def make_database(socket: Path) -> None:
    """Create our database where it is missing; raises DatabaseUnavailable."""
    try:
        with psycopg.connect(url(socket, "postgres", "postgres"), autocommit=True) as conn:
            found = conn.execute("select from pg_database where datname = %s", [DATABASE])
            if found.fetchone() is None:
                conn.execute("create database parley")
    except psycopg.Error as error:
        raise DatabaseUnavailable(f"The database could not be created: {error}") from error


def running(folder: DataFolder) -> psutil.Process | None:
    """Return the server process of this folder, None where none is found."""
    lines = _lock_file(folder)
    try:
        process = psutil.Process(int(lines[0]))
        if process.status() == psutil.STATUS_ZOMBIE or "postgres" not in process.name():
            return None
        return process if Path(process.cwd()).samefile(folder.cluster) else None
    except (psutil.Error, ValueError, IndexError, OSError):
        return None


def stop(folder: DataFolder, started: subprocess.Popen[bytes] | None) -> None:
    """Stop the server of this folder and wait for its end.

    Connections are cut and everything committed is kept. When that takes longer than a
    minute the server is told to leave at once; it then recovers at its next start.
    """
    process = running(folder)
    for order in (signal.SIGINT, signal.SIGQUIT):
        if process is not None:
            try:
                process.send_signal(order)
            except psutil.NoSuchProcess:
                process = None
        if _gone(folder, started, _STOP_SECONDS):
            return
    _log.warning("Postgres in %s does not stop", folder.root)


def _gone(folder: DataFolder, started: subprocess.Popen[bytes] | None, seconds: float) -> bool:
    """Wait until the server and all its children have let go of their lock."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if started is not None:
            started.poll()
        if (lock := claim(folder.server)) is not None:
            os.close(lock)
            if started is not None:
                started.wait()
            return True
        time.sleep(0.005)
    return False


def pid_in(folder: DataFolder) -> str:
    """Return the process id that the server noted, for people to read."""
    return (_lock_file(folder) or ["?"])[0]


def log_size(folder: DataFolder) -> int:
    """Return how many bytes the log has."""
    return folder.log.stat().st_size if folder.log.exists() else 0


def last_words(folder: DataFolder, since: int) -> str:
    """Return why the server gave up, from its log beyond the byte `since`."""
    with folder.log.open("rb") as log:
        log.seek(since if log_size(folder) >= since else 0)
        return _complaint(log.read().decode(errors="replace"))


def _complaint(output: str) -> str:
    """Return the lines of an output that say what is wrong, as one sentence."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    serious = [match[0] for line in lines if (match := _SERIOUS.search(line))]
    return " ".join(serious[-2:] or lines[-1:]) or "it said nothing."


def _lock_file(folder: DataFolder) -> list[str]:
    try:
        return (folder.cluster / "postmaster.pid").read_text().split("\n")
    except OSError:
        return []


def _sync(folder: Path) -> None:
    """Make a rename inside the folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

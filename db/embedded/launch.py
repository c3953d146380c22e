"""Joining the server of a data folder: the first process starts it, the last one stops it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from core.cancel import beside
from core.errors import DatabaseUnavailable, DataFolderUnusable, ParleyError
from db.embedded import server
from db.embedded.binaries import Binaries, choose
from db.embedded.folder import DataFolder
from db.embedded.locks import Abandoned, Door, claim, enroll, is_free

_WATCH_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 30.0
_SAY_SECONDS = 10.0
_DEAF_SECONDS = 30.0
_log = logging.getLogger(__name__)


@asynccontextmanager
async def embedded_postgres(
    folder: Path, *, settings: Mapping[str, str] | None = None
) -> AsyncIterator[EmbeddedPostgres]:
    """Run the Postgres of `folder` for as long as the block lasts, or join it if it runs.

    settings: Postgres settings that differ from ours, by name; those of the first one count.
    Should the server die in between it is started again.
    Waits as long as crash recovery takes. Raises DataFolderUnusable, DatabaseUnavailable.
    """
    abandon = threading.Event()
    joining = asyncio.ensure_future(asyncio.to_thread(join, folder, settings, abandon))
    try:
        postgres = await asyncio.shield(joining)
    except asyncio.CancelledError:
        abandon.set()
        await asyncio.wait([joining])
        if joining.exception() is None:
            await asyncio.to_thread(joining.result().leave)
        raise
    try:
        async with beside(_watch(postgres)):
            yield postgres
    finally:
        await asyncio.shield(asyncio.to_thread(postgres.leave))


async def _watch(postgres: EmbeddedPostgres) -> None:
    """Start the server again whenever it dies; less and less often while that fails."""
    pause = _WATCH_SECONDS
    while True:
        await asyncio.sleep(pause)
        try:
            await asyncio.to_thread(postgres.revive)
            pause = _WATCH_SECONDS
        except ParleyError as error:
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            _log.error("the embedded Postgres is down: %s", error)


class EmbeddedPostgres:
    """A part in the server of a data folder, until `leave`."""

    def __init__(self, folder: DataFolder, binaries: Binaries, settings: Mapping[str, str]) -> None:
        self._folder = folder
        self._binaries = binaries
        self._settings = settings
        self._users: int | None = None
        self._started: subprocess.Popen[bytes] | None = None
        self._abandon = threading.Event()
        self.socket = Path()

    def address(self, role: str, database: str = server.DATABASE) -> str:
        """Return the URL of a database of this server."""
        return server.url(self.socket, role, database)

    @property
    def url(self) -> str:
        """The database as the application sees it: its role cannot bypass row-level security."""
        return self.address("parley_app")

    @property
    def admin_url(self) -> str:
        """The database as its owner, for migrations."""
        return self.address("postgres")

    @property
    def pid(self) -> int | None:
        """The process id of the server; None when it is not running."""
        process = server.running(self._folder)
        return process.pid if process else None

    def revive(self) -> None:
        """Start the server again if it died; returns at once when it runs."""
        if (lock := claim(self._folder.server)) is None:
            return
        os.close(lock)
        with Door(self._folder.door, self._abandon):
            self._bring_up()

    def leave(self) -> None:
        """Give up our part; the last one out stops the server."""
        if self._users is None:
            return
        self._abandon.set()
        with Door(self._folder.door):
            self._part()

    def _enter(self, abandon: threading.Event) -> None:
        """Register as a user and bring the server up."""
        self._abandon = abandon
        self._users = enroll(self._folder.users)
        if self._users is None:
            raise DataFolderUnusable(f"{self._folder.root} is locked by another program.")
        try:
            if not self._folder.cluster.exists():
                server.create(self._folder, self._binaries, self._settings)
            self._bring_up()
            server.keep(self._folder)
            server.make_database(self.socket)
        except BaseException:
            self._part()
            raise

    def _part(self) -> None:
        """Stop being a user, and stop the server if that was the last one; behind the door."""
        assert self._users is not None
        os.close(self._users)
        self._users = None
        if is_free(self._folder.users):
            server.stop(self._folder, self._started)
            if self.socket.parent != self._folder.root:
                with contextlib.suppress(OSError):
                    self.socket.rmdir()  # it was made in the folder for temporary files
        elif self._started is not None:
            # It goes on without us. Popen would warn that we did not wait for it.
            self._started.returncode = 0

    def _bring_up(self) -> None:
        """Return when the server takes connections; only behind the door.

        There is no time limit: recovery takes as long as it takes, while the server lives.
        """
        log_began: int | None = None
        patience = _Patience(self._folder.root)
        while (problem := self._problem()) is not None:
            if self._abandon.is_set():
                raise Abandoned
            lock = claim(self._folder.server)
            if lock is None:
                patience.wait(problem, server.pid_in(self._folder))
                continue
            try:
                if self._started is not None:
                    self._started.wait()  # it is dead, or its lock would not be ours
                if log_began is not None:
                    words = server.last_words(self._folder, log_began)
                    raise DatabaseUnavailable(
                        f"Postgres did not start: {words}", hint=f"See {self._folder.log}."
                    )
                log_began = server.log_size(self._folder)
                self._started = server.launch(self._folder, self._binaries, lock, self._settings)
            finally:
                os.close(lock)

    def _problem(self) -> str | None:
        """Return why the server does not serve yet, None when it does."""
        self.socket = server.socket_of(self._folder, self._binaries.owner)
        return server.problem(self._folder, self.socket)


class _Patience:
    """Waits between looks at a living server, and says so from time to time."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._said = time.monotonic()
        self._deaf_since: float | None = None

    def wait(self, problem: str, pid: str) -> None:
        """Pause; raises DatabaseUnavailable when a server that says it is ready is deaf."""
        now = time.monotonic()
        if problem == server.NOT_READY:
            self._deaf_since = None
        else:
            self._deaf_since = self._deaf_since or now
            if now - self._deaf_since > _DEAF_SECONDS:
                raise DatabaseUnavailable(
                    f"Postgres runs in {self._root} but cannot be reached: {problem}",
                    hint=f"Stop it with `kill -INT {pid}` and start Parley again.",
                )
        if now - self._said > _SAY_SECONDS:
            self._said = now
            _log.info("Postgres in %s is still starting, perhaps recovering", self._root)
        time.sleep(0.01)


def join(
    folder: Path,
    settings: Mapping[str, str] | None = None,
    abandon: threading.Event | None = None,
) -> EmbeddedPostgres:
    """Return a part in the server of `folder`, started if need be. Blocking.

    abandon: set it from elsewhere to break off; raises Abandoned then.
    """
    place = DataFolder(folder.expanduser().resolve())
    abandon = abandon or threading.Event()
    try:
        place.prepare()
        with Door(place.door, abandon):
            binaries = choose(place.root, place.cluster, place.programs)
            postgres = EmbeddedPostgres(place, binaries, settings or {})
            postgres._enter(abandon)
    except OSError as error:
        raise DataFolderUnusable(
            f"The data folder {place.root} cannot be used: {error.strerror or error}.",
            hint="Set DATABASE_FOLDER to a folder that you may write, on a disk with room.",
        ) from error
    return postgres

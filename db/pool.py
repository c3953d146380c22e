"""Connections to Postgres: borrowed from a pool, one tenant at a time."""

from __future__ import annotations

import asyncio
import logging
import selectors
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
from pgvector.psycopg import register_vector_async
from psycopg import AsyncClientCursor, AsyncConnection
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import PipelineStatus
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from core.cancel import cancellations, heed_cancellation
from core.errors import DatabaseBusy, DatabaseUnavailable, RoleTooPowerful
from db.migrate import SEARCH_PATH, verify
from db.sql import Statement, load, read_ahead

Pool = AsyncConnectionPool[AsyncConnection[TupleRow]]

_RECONNECT_SECONDS = 3.0
# A connection that is gone; the last one took a process that was stopped too long to notice.
_GONE = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.IdleInTransactionSessionTimeout,
)
_log = logging.getLogger(__name__)
SQL = load(__file__)


class Database:
    """A pool of connections whose role sees the rows of one tenant at a time."""

    def __init__(self, url: str, pool: Pool) -> None:
        """Use `open`, which checks the server, the role and the schema first."""
        self.url = url
        self.pool = pool
        self._returning: set[asyncio.Future[None]] = set()  # connections on their way back

    @classmethod
    @asynccontextmanager
    async def open(
        cls, url: str, *, min_size: int = 2, max_size: int = 8, timeout_seconds: float = 3.0
    ) -> AsyncIterator[Database]:
        """Open a pool; it closes with the block.

        timeout_seconds: wait for a free connection at most, then DatabaseBusy.
        Raises DatabaseUnavailable, RoleTooPowerful or SchemaOutdated.
        """
        await asyncio.to_thread(read_ahead, Path(__file__).parent)
        arguments = connection_arguments(url)
        await _check(url, arguments)
        pool: Pool = AsyncConnectionPool(
            url,
            kwargs=arguments,
            min_size=min(min_size, max_size),
            max_size=max_size,
            timeout=timeout_seconds,
            # Short: after an outage the next request connects, instead of sitting out a backoff.
            reconnect_timeout=_RECONNECT_SECONDS,
            configure=_configure,
            check=lambda conn: _alive(pool, conn),
            open=False,
            name="parley",
        )
        pool._pool = _Stack()
        async with pool:
            yield cls(url, pool)

    @asynccontextmanager
    async def transaction(self, tenant_id: str) -> AsyncIterator[AsyncConnection[TupleRow]]:
        """Lend a connection inside one transaction that sees the rows of this tenant alone.

        Commits when the block ends well and rolls back otherwise.
        Raises DatabaseBusy or DatabaseUnavailable.
        """
        async with self.connection() as conn:
            # Two statements in one message: a client cursor, because parameters bound by the
            # server come one statement at a time (a pipeline costs 0.1 ms more of our own time).
            await AsyncClientCursor(conn).execute(SQL["begin"], {"tenant_id": tenant_id})
            yield conn  # the pool commits, or rolls back on an error

    async def once(self, tenant_id: str, *statements: Statement) -> list[list[TupleRow]]:
        """Run statements in one transaction that sees this tenant's rows; return those of each.

        All go to the server in one piece and one commit: a round trip where `transaction`
        takes three. So none of them can depend on what another one returned.
        Raises DatabaseBusy or DatabaseUnavailable.
        """
        async with self.connection() as conn:
            # The server makes one transaction of what comes before the pipeline's end.
            async with conn.pipeline():
                await conn.execute(SQL["name_tenant"], {"tenant_id": tenant_id})
                cursors = [await conn.execute(*statement) for statement in statements]
            return [await cursor.fetchall() if cursor.description else [] for cursor in cursors]

    @asynccontextmanager
    async def pipeline(self, tenant_id: str) -> AsyncIterator[AsyncConnection[TupleRow]]:
        """Lend a connection as `transaction` does, which sends statements without waiting.

        Only a fetch waits, for all that was sent until then, and raises what failed of it; what
        nobody fetches has arrived when the block ends. Saves a round trip for each statement
        that does not depend on the one before. Raises DatabaseBusy or DatabaseUnavailable.
        """
        async with self.connection() as conn, conn.pipeline():
            await conn.execute(SQL["start"])
            await conn.execute(SQL["name_tenant"], {"tenant_id": tenant_id})
            yield conn
            # Sent with the end of the pipeline; after an error the pool rolls back instead.
            await conn.execute(SQL["commit"])

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection[TupleRow]]:
        """Lend a connection without a tenant, in autocommit: only functions see rows there.

        Raises DatabaseBusy or DatabaseUnavailable.
        """
        errors_before = self._connection_errors
        try:
            before = cancellations()
            conn = await self.pool.getconn()
            try:
                heed_cancellation(beyond=before)  # one that came with the connection
                async with conn:  # commits or rolls back; one of a pool stays open
                    yield conn
            finally:
                # Not `pool.connection()`: whoever is cancelled while it waits for the pool's lock
                # to give a connection back never does, and the pool has one less for ever.
                returning = asyncio.ensure_future(self._give_back(conn))
                self._returning.add(returning)
                returning.add_done_callback(self._returning.discard)
                await asyncio.shield(returning)
        except PoolTimeout as error:
            if self._connection_errors > errors_before:
                raise DatabaseUnavailable from error
            raise DatabaseBusy from error
        except _GONE as error:
            _log.warning("the database failed: %s", error)
            raise DatabaseUnavailable from error  # users read this: no names of hosts and roles

    async def _give_back(self, conn: AsyncConnection[TupleRow]) -> None:
        if conn.pgconn.pipeline_status != PipelineStatus.OFF:
            # Whoever was cancelled while a pipeline ended leaves it open, and the pool would lend
            # it to the next.
            await conn.close()
        await self.pool.putconn(conn)

    async def ping(self) -> None:
        """Return when the database answers; raises DatabaseBusy or DatabaseUnavailable."""
        async with self.connection() as conn:
            await conn.execute(SQL["ping"])

    @property
    def _connection_errors(self) -> int:
        return self.pool.get_stats().get("connections_errors", 0)


async def _check(url: str, arguments: dict[str, Any]) -> None:
    """Look at the server, the role and the schema before anything relies on them."""
    try:
        async with await AsyncConnection.connect(url, **arguments) as conn:
            row = await (await conn.execute(SQL["power"])).fetchone()
            assert row is not None
            role, power = row
            if power is not None:
                raise RoleTooPowerful(
                    f"Role {role} {power}, so it could read every tenant's rows.",
                    hint="Set DATABASE_ADMIN_URL to this URL (it then migrates) and DATABASE_URL "
                    "to the same one with user parley_app and a password of your choice.",
                )
            await verify(conn)
    except psycopg.Error as error:
        raise DatabaseUnavailable(f"The database does not answer: {error}") from error


async def _configure(conn: AsyncConnection[TupleRow]) -> None:
    """Prepare a new connection: where names are looked up, and what a vector is."""
    await conn.execute(SQL["search_path"], {"path": SEARCH_PATH})
    await conn.execute(SQL["patience"])
    await register_vector_async(conn)


async def _alive(pool: Pool, conn: AsyncConnection[TupleRow]) -> None:
    """Raise when the connection is broken; then its idle neighbours are looked at as well.

    A restarted server breaks them all, and the pool would find that out one by one,
    waiting a second and then two in between.
    """
    if _quiet(conn):
        return
    try:
        await AsyncConnectionPool.check_connection(conn)
    except psycopg.Error:
        await pool.check()
        raise


class _Stack(deque[Any]):
    """Idle connections; the one that was used last is lent first.

    Its server process has the pages of the index mapped and in the caches: taken in turn, eight
    connections search a third slower than one, and none of the spare ones ever gets to rest.
    """

    def popleft(self) -> Any:
        """Take the last one."""
        return self.pop()


def _quiet(conn: AsyncConnection[TupleRow]) -> bool:
    """Return whether nothing has come from the server since the last answer.

    A server that stops or cuts a connection says so or closes it, and either can be read; a peer
    that vanished without a word is found by the keepalives. So a quiet connection is not asked
    whether it lives, which would cost every transaction a round trip.
    """
    if conn.closed:
        return False
    with selectors.DefaultSelector() as selector:
        selector.register(conn.pgconn.socket, selectors.EVENT_READ)
        return not selector.select(0)


def connection_arguments(url: str) -> dict[str, Any]:
    """Return what a connection needs besides its URL, which always wins."""
    chosen = {
        "application_name": "parley",
        "connect_timeout": "5",
        "keepalives_idle": "30",  # a dead peer is noticed within a minute, also while listening
        "keepalives_interval": "10",
        "keepalives_count": "3",
        "tcp_user_timeout": "30000",  # milliseconds
    }
    given = conninfo_to_dict(url)
    return {"autocommit": True} | {k: v for k, v in chosen.items() if k not in given}

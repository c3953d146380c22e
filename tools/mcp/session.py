"""A connection to one MCP server, made anew when it broke."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from core.errors import RemoteUnavailable, RemoteUnreachable
from tools.tool import TryDifferently

if TYPE_CHECKING:
    from mcp import ClientSession
    from mcp.types import CallToolResult, Tool

T = TypeVar("T")
CONNECT_SECONDS = 20.0  # some servers install themselves at their first start
PING_SECONDS = 2.0
MOST_TOOLS = 100
# Codes of JSON-RPC for a request that was not carried out.
NOT_DONE = frozenset({-32700, -32600, -32601, -32602})
log = logging.getLogger(__name__)

Connect = Callable[[], AbstractAsyncContextManager["ClientSession"]]


class Session:
    """Calls tools of one server. Its connection lives in a task of its own.

    The library binds a connection to the task that made it, and calls come from any task.
    """

    def __init__(self, name: str, connect: Connect) -> None:
        """connect: opens a connection that is not initialised yet."""
        self._name = name
        self._connect = connect
        self._connecting = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._session: ClientSession | None = None
        self._enough = asyncio.Event()
        self._running = 0  # calls

    async def tools(self) -> list[Tool]:
        """Return the tools that the server offers; raises RemoteUnreachable."""
        from mcp import McpError
        from mcp.types import PaginatedRequestParams

        session = await self._alive()
        found: list[Tool] = []
        cursor: str | None = None
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                while len(found) < MOST_TOOLS:
                    ask = session.list_tools(params=PaginatedRequestParams(cursor=cursor))
                    page = await self._answer(ask)
                    found += page.tools
                    cursor = page.nextCursor
                    if not cursor:
                        break
        except (TimeoutError, McpError, ValueError) as error:
            raise RemoteUnreachable(f"MCP server {self._name} lists no tools.") from error
        return found[:MOST_TOOLS]

    async def call(self, tool: str, arguments: dict[str, Any]) -> CallToolResult:
        """Return what a tool of the server returns.

        Raises RemoteUnreachable when nothing was sent, RemoteUnavailable when the server broke,
        TryDifferently when it would not do it.
        """
        from mcp import McpError, types

        session = await self._alive()
        # Not by `call_tool`: it checks results against schemas of the server's own making.
        asked = types.CallToolRequest(
            params=types.CallToolRequestParams(name=tool, arguments=arguments)
        )
        self._running += 1
        try:
            request = session.send_request(types.ClientRequest(asked), types.CallToolResult)
            return await self._answer(request)
        except McpError as error:
            if error.error.code in NOT_DONE:
                text = f"The server refused: {error.error.message}"
                raise TryDifferently(text, (f"mcp:{self._name}",)) from error
            raise RemoteUnavailable(f"MCP server {self._name} failed.") from error
        except ValueError as error:
            raise RemoteUnavailable(f"MCP server {self._name} does not speak MCP.") from error
        finally:
            self._running -= 1

    async def close(self) -> None:
        """End the connection, and a process that was started for it."""
        task, self._task, self._session = self._task, None, None
        if task is not None:
            self._enough.set()
            await asyncio.wait({task})
            if not task.cancelled():
                task.exception()  # it was told by whoever waited for the connection

    async def _alive(self) -> ClientSession:
        """Return a session that answers; raises RemoteUnreachable."""
        async with self._connecting:
            # A server that is at work may not answer before it is done.
            if self._session is not None and (self._running or await self._answers(self._session)):
                return self._session
            await self.close()
            self._session = await self._open()
            return self._session

    async def _answers(self, session: ClientSession) -> bool:
        from mcp import McpError

        try:
            async with asyncio.timeout(PING_SECONDS):
                await self._answer(session.send_ping())
        except (TimeoutError, RemoteUnavailable, McpError, ValueError):
            return False
        return True

    async def _open(self) -> ClientSession:
        self._enough = asyncio.Event()
        opened: asyncio.Future[ClientSession] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._live(opened, self._enough))
        both: list[asyncio.Future[Any]] = [opened, self._task]
        try:
            await asyncio.wait(both, timeout=CONNECT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not opened.done():
                opened.cancel()
                self._task.cancel()
        if opened.cancelled():
            await self.close()
            raise RemoteUnreachable(f"MCP server {self._name} cannot be reached.")
        return opened.result()

    async def _live(self, opened: asyncio.Future[ClientSession], enough: asyncio.Event) -> None:
        """Hold a connection until it is enough, or it breaks."""
        try:
            async with self._connect() as session:
                await session.initialize()
                if not opened.cancelled():
                    opened.set_result(session)
                await enough.wait()
        except Exception as error:  # noqa: BLE001  # groups of whatever libraries below raise
            log.info("connection to MCP server %s ended: %s", self._name, _reason(error))

    async def _answer(self, request: Awaitable[T]) -> T:
        """Return what a request is answered with; raises RemoteUnavailable if the line breaks."""
        line, asked = self._task, asyncio.ensure_future(request)
        assert line is not None
        both: list[asyncio.Future[Any]] = [asked, line]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if asked.done():
                return asked.result()
        except (anyio.ClosedResourceError, anyio.BrokenResourceError) as error:
            raise RemoteUnreachable(f"MCP server {self._name} is gone.") from error
        finally:
            asked.cancel()
        raise RemoteUnavailable(f"The connection to MCP server {self._name} broke.")


def _reason(error: BaseException) -> str:
    """Return the name of what went wrong first; texts may hold secrets."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return type(error).__name__

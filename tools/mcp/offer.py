"""Every tool of the configured MCP servers, as a tool of ours named `server__tool`."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from core import files
from core.errors import RemoteUnreachable, SettingsInvalid
from tools.declared import full_name
from tools.mcp.schema import tamed
from tools.mcp.servers import UNTOLD, Server, Servers
from tools.mcp.session import Session
from tools.tool import Arguments, Caller, Output, Tool, TryDifferently

if TYPE_CHECKING:
    from mcp import types

VARIABLE = "TOOLS_MCP_FILE"
SECONDS = 30.0  # that a call may take unless the file says otherwise
MOST_DESCRIPTION_CHARACTERS = 1000
log = logging.getLogger(__name__)


@asynccontextmanager
async def mcp_tools(path: Path | None, environment: Mapping[str, str]) -> AsyncIterator[list[Tool]]:
    """Yield the tools of all servers in a file; those of a server that is down are absent.

    environment: where the tokens are.
    Raises SettingsInvalid for a file that is not as it should be or a token that is missing.
    """
    if path is None:
        yield []
        return
    from langchain_mcp_adapters.sessions import create_session

    file = await asyncio.to_thread(files.read, path, Servers, VARIABLE)
    async with AsyncExitStack() as opened:
        sessions = []
        for server in file.servers:
            try:
                connection = server.connection(environment)
            except ValueError as error:
                raise SettingsInvalid(f"{VARIABLE}: {server.name}: {error}") from error
            session = Session(server.name, partial(create_session, connection))
            opened.push_async_callback(session.close)
            sessions.append((server, session))
        found = await asyncio.gather(*(_tools(*one) for one in sessions))
        yield [tool for tools in found for tool in tools]


async def _tools(server: Server, session: Session) -> list[Tool]:
    try:
        offered = await session.tools()
    except RemoteUnreachable as error:
        log.warning("its tools are absent: %s", error.message, extra={"server": server.name})
        return []
    tools: dict[str, Tool] = {}
    unfit = set(server.tools) - {one.name for one in offered}  # declared, and not there
    for one in offered:
        try:
            tool = _tool(server, session, one)
        except ValueError:
            unfit.add(one.name)
        else:
            tools.setdefault(tool.name, tool)
    if unfit:
        names = ", ".join(sorted(name[:80] for name in unfit))
        log.warning("tools that cannot be offered: %s", names, extra={"server": server.name})
    return list(tools.values())


def _tool(server: Server, session: Session, offered: types.Tool) -> Tool:
    """Return a tool of ours; raises ValueError for one whose name or schema does not fit."""
    said = server.tools.get(offered.name, UNTOLD)
    declaration = said.declaration(server.hosts(), seconds=SECONDS)
    sources = (f"mcp:{server.name}",) if said.reads_untrusted else ()

    async def run(arguments: Arguments, caller: Caller, key: str) -> Output:
        result = await session.call(offered.name, dict(arguments))
        text = _text(result)
        if result.isError and declaration.effect == "none":
            raise TryDifferently(f"The tool reports an error: {text}", sources)
        if result.isError:
            # It ran, as far as it got: that is its result, and no reason to run it again.
            return Output(f"The tool ran and reports an error: {text}", sources)
        return Output(text or "Done.", sources)

    text = said.description or offered.description or f"Calls {offered.name}."
    return Tool(
        full_name(server.name, offered.name),
        text[:MOST_DESCRIPTION_CHARACTERS],
        tamed(offered.inputSchema),
        declaration,
        run,
    )


def _text(result: types.CallToolResult) -> str:
    """Return the parts of a result that are text, and name the others."""
    if not result.content and result.structuredContent is not None:
        return json.dumps(result.structuredContent, ensure_ascii=False)
    return "\n\n".join(_part(part) for part in result.content)


def _part(part: types.ContentBlock) -> str:
    match part.type:
        case "text":
            return part.text
        case "resource":
            text = getattr(part.resource, "text", None)
            return text if text is not None else f"(A resource, {part.resource.uri}, not shown.)"
        case "resource_link":
            return f"{part.name}: {part.uri}"
        case _:
            return f"(Something of type {part.mimeType}, which is not shown.)"

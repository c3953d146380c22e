"""The tools that the settings ask for: built in, of the web, of HTTP services, of MCP servers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from core.settings import Settings
from db.connect import reader_address
from db.pool import Database
from knowledge.search import Search
from tools.builtin import builtin
from tools.http.call import call_http
from tools.mcp.offer import mcp_tools
from tools.query_database import Reports
from tools.registry import Registry
from tools.run_python import Sandbox
from tools.web.client import WebClient
from tools.web.fetch_page import fetch_page
from tools.web.search_web import search_web


@asynccontextmanager
async def configured(
    settings: Settings,
    database: Database,
    environment: Mapping[str, str],
    *,
    search: Search | None = None,
) -> AsyncIterator[Registry]:
    """Give the registry; what its tools talk to closes with the block.

    environment: where the tokens are that the files of operators name.
    Raises SettingsInvalid for what an operator's file gets wrong, and ValueError for two tools
    of the same name.
    """
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(Sandbox.open())
        reader_url = reader_address(settings.database, database.url)
        reports = await Reports.open(reader_url) if reader_url else None
        client = await stack.enter_async_context(WebClient.open())
        page = await stack.enter_async_context(fetch_page(client))
        web = await stack.enter_async_context(search_web(settings.tools.search_url))
        operations = await stack.enter_async_context(
            call_http(settings.tools.http_file, environment)
        )
        servers = await stack.enter_async_context(mcp_tools(settings.tools.mcp_file, environment))
        yield Registry(
            [
                *builtin(database=database, search=search, sandbox=sandbox, reports=reports),
                page,
                *([web] if web else []),
                *operations,
                *servers,
            ]
        )

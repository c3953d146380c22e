"""The tools that come with Parley, made from the services that they need."""

from __future__ import annotations

from db.pool import Database
from knowledge.search import Search
from tools import calculate, query_database, run_python, search_knowledge
from tools.query_database import Reports
from tools.run_python import Sandbox
from tools.shop.tools import shop_tools
from tools.tool import Tool


def builtin(
    *,
    database: Database,
    search: Search | None = None,
    sandbox: Sandbox | None = None,
    reports: Reports | None = None,
    shop: bool = True,
) -> list[Tool]:
    """Return the tools for which there is a service; those of the sample shop unless told not to.

    search: the knowledge base. sandbox: where a model's Python runs. reports: questions in SQL.
    """
    tools = [calculate.tool()]
    if search is not None:
        tools.append(search_knowledge.tool(database, search))
    if sandbox is not None:
        tools.append(run_python.tool(sandbox))
    if reports is not None and reports.views:
        tools.append(query_database.tool(reports))
    return [*tools, *shop_tools(database)] if shop else tools

"""Tools whose effect is in our own database: they can act in a transaction of the caller's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from db.pool import Database
from tools.tool import Arguments, Caller, Declaration, Model, Output, Tool

Conn = AsyncConnection[TupleRow]


def transactional(
    database: Database,
    name: str,
    description: str,
    model: type[Model],
    function: Callable[[Conn, Model, Caller, str], Awaitable[Output | str]],
    declaration: Declaration,
) -> Tool:
    """Return a tool that works in one transaction: its own, or with `within` the caller's."""

    async def within(conn: Conn, arguments: Arguments, caller: Caller, key: str) -> Output:
        found = await function(conn, model.model_validate(arguments), caller, key)
        return Output(found) if isinstance(found, str) else found

    async def run(arguments: Arguments, caller: Caller, key: str) -> Output:
        async with database.transaction(caller.tenant_id) as conn:
            return await within(conn, arguments, caller, key)

    return Tool(name, description, model.model_json_schema(), declaration, run, within=within)

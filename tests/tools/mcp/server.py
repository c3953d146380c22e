"""An MCP server of our own: `python server.py stdio`, or `http PORT`."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

# Formats of addresses in JSON schemas: compiling their grammar takes seconds, for each process.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]

from mcp.server.fastmcp import FastMCP  # noqa: E402
from mcp.types import TextContent, Tool  # noqa: E402


class Odd(FastMCP[Any]):
    """Offers what no server should, beside its own tools."""

    async def list_tools(self) -> list[Tool]:
        """Return the tools, and some that cannot be offered."""
        schema = {"type": "object", "additionalProperties": False}
        remote = {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/"}}}
        slow = {
            "type": "object",
            "properties": {"pattern": {"type": "string", "pattern": "(a+)+$"}},
        }
        return [
            *await super().list_tools(),
            Tool(name="bad name!", inputSchema=schema),
            Tool(name="remote", inputSchema=remote),
            Tool(name="long", description="x" * 9999, inputSchema=schema),
            Tool(name="slow", inputSchema=slow),
        ]


server = Odd("test", log_level="ERROR", port=int(sys.argv[2]) if len(sys.argv) > 2 else 0)


@server.tool()
def add(a: int, b: int) -> list[TextContent]:
    """Adds."""
    return [TextContent(type="text", text=str(a + b))]


@server.tool(structured_output=False)
def variable(name: str) -> str:
    """Tells a variable of the environment."""
    return os.environ.get(name, "(not set)")


@server.tool(structured_output=False)
def process() -> str:
    """Tells the id of the process."""
    return str(os.getpid())


@server.tool()
def fail() -> str:
    """Raises."""
    raise ValueError("no such row")


@server.tool()
def end() -> str:
    """Ends the process."""
    os._exit(1)


@server.tool()
def hang() -> str:
    """Never returns."""
    while True:
        time.sleep(60)


if __name__ == "__main__":
    server.run("stdio" if sys.argv[1] == "stdio" else "streamable-http")

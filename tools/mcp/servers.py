"""The file that says which MCP servers there are, and what their tools do.

    servers:
      - name: files
        command: [npx, some-server, /srv/files]   # started by us, over stdio
        environment: [FILES_TOKEN]                # variables that it gets beside PATH and HOME
      - name: tracker
        url: https://tracker.example/mcp          # streamable HTTP
        token_variable: TRACKER_TOKEN             # environment variable that holds a bearer token
        tools:
          list_issues: {effect: none, idempotency: pure}

A tool that is not listed is offered too, as one that may do anything to anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Self
from urllib.parse import urlsplit

import httpx
from pydantic import Field, model_validator

from core.files import Closed
from tools.declared import PREFIX, Declared

if TYPE_CHECKING:
    from langchain_mcp_adapters.sessions import StdioConnection, StreamableHttpConnection

UNTOLD = Declared(effect="external", idempotency="none")


class Server(Closed):
    """A server that is started by us, or answers at a URL."""

    name: Annotated[str, Field(pattern=PREFIX)]
    command: Annotated[list[str], Field(min_length=1)] | None = None
    environment: tuple[str, ...] = ()
    url: Annotated[str, Field(pattern=r"^https?://[^/]")] | None = None
    token_variable: str | None = None
    tools: Annotated[dict[str, Declared], Field(default_factory=dict)]

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if (self.command is None) == (self.url is None):
            raise ValueError("needs either `command` or `url`")
        if self.command is None and self.environment:
            raise ValueError("`environment` is for a server with a `command`")
        if self.url is None and self.token_variable:
            raise ValueError("`token_variable` is for a server with a `url`")
        if any(said.idempotency == "keyed" for said in self.tools.values()):
            raise ValueError("MCP knows no idempotency keys: a tool is `pure` or `none`")
        return self

    def hosts(self) -> frozenset[str]:
        """Return whom it talks to, as far as we can know."""
        return frozenset({(urlsplit(self.url).hostname if self.url else None) or "*"})

    def connection(
        self, environment: Mapping[str, str]
    ) -> StdioConnection | StreamableHttpConnection:
        """Return how to connect; raises ValueError for a variable that is not set."""
        needed = [*self.environment, *filter(None, [self.token_variable])]
        if missing := [name for name in needed if not environment.get(name)]:
            raise ValueError(f"the environment has no {', '.join(missing)}")
        if self.command is not None:
            passed = {name: environment[name] for name in self.environment}
            command, *arguments = self.command
            return {"transport": "stdio", "command": command, "args": arguments, "env": passed}
        assert self.url is not None
        headers = {}
        if self.token_variable is not None:
            headers["Authorization"] = f"Bearer {environment[self.token_variable]}"
        return {
            "transport": "streamable_http",
            "url": self.url,
            "headers": headers,
            "httpx_client_factory": _client,
        }


class Servers(Closed):
    """The whole file."""

    servers: list[Server]


def _client(
    headers: dict[str, str] | None = None,
    timeout: httpx.Timeout | None = None,  # as the library calls it
    auth: httpx.Auth | None = None,
) -> httpx.AsyncClient:
    """Return a client that goes nowhere but to the server: by no proxy, and after no redirect."""
    return httpx.AsyncClient(headers=headers, timeout=timeout, auth=auth, trust_env=False)

"""The file that says which operations of which services may be called, and what they do.

    services:
      - name: shop
        document: shop.yaml             # OpenAPI 3.1, beside this file
        url: http://127.0.0.1:9000/v1   # instead of the document's first server
        token_variable: SHOP_TOKEN      # environment variable that holds a bearer token
        operations:
          findOrder: {effect: none, idempotency: pure}
          refundOrder: {effect: external, idempotency: keyed, roles: [clerk]}

An operation that is not listed does not exist for the agent.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from core.files import Closed
from tools.declared import PREFIX, Declared


class Service(Closed):
    """A service with an OpenAPI document."""

    name: Annotated[str, Field(pattern=PREFIX)]
    document: Path
    url: str | None = None
    token_variable: str | None = None
    operations: dict[str, Declared]


class Services(Closed):
    """The whole file."""

    services: list[Service]

"""Opens a tracer for a test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from pydantic import SecretStr

from core.langfuse import tracer
from core.langfuse.client import LangfuseTracer
from core.settings import LangfuseSettings


def settings(url: str | None, **others: object) -> LangfuseSettings:
    """Return settings with keys and this address."""
    keys = {"public_key": "pk-test", "secret_key": SecretStr("sk-test"), "base_url": url}
    return LangfuseSettings.model_validate({**keys, **others})


@asynccontextmanager
async def opened(
    url: str, *, mask: Callable[[str], str] | None = None, **others: object
) -> AsyncIterator[LangfuseTracer]:
    """Open a tracer to `url`, and close it."""
    made = await tracer(settings(url, **others), release="0.1.0", mask=mask)
    assert isinstance(made, LangfuseTracer)
    try:
        yield made
    finally:
        await made.close()

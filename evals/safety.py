"""What the guards find, and what they refuse by mistake: all figures of `evals run safety`."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path
from typing import Any

from embeddings.minilm import MiniLM
from evals import everyday, indirect, injection, obedient, pii, scope


async def run(data: Path) -> dict[str, Any]:
    """Return the figures of every part whose sets are in `data`."""
    with closing(await asyncio.to_thread(MiniLM.load)) as embedder:
        report: dict[str, Any] = {
            **await injection.run(data, embedder),
            "everyday": await everyday.run(data, embedder),
            "indirect": await indirect.run(data, embedder),
            "scope": await scope.run(data, embedder),
            "pii": await pii.run(data),
            **await obedient.run(data),
        }
    return {name: found for name, found in report.items() if found}

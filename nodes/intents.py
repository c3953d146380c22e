"""What the user wants, learned from examples that people edit while Parley runs.

Every tenant may have a file of examples of its own. It is looked at again when it has changed,
learned from off the event loop, and a broken edit leaves the last good one in place.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.errors import SettingsInvalid
from core.turn import Intent
from embeddings.base import Embedder
from nodes.classifier import Classifier
from nodes.examples import DEFAULT_EXAMPLES, Examples, read

log = logging.getLogger(__name__)

REMEMBERED_TENANTS = 64
LOOK_SECONDS = 1.0  # a file is not looked at more often
_FILE_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,99}")

Stamp = tuple[int, int, int] | None
"""Modification time, size and inode of a file; None when there is none."""


class Guess(NamedTuple):
    """The likeliest intent of a message."""

    intent: Intent
    probability: float  # among the intents, in [0, 1]
    scope: float  # likeness to the examples at all: 1 for one of them, about 0 for the foreign
    second: Intent | None = None  # the next likeliest
    second_probability: float = 0.0


@dataclass(slots=True)
class _Tenant:
    """What is known of one tenant's file."""

    classifier: Classifier
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    stamp: Stamp = None
    looked: float = float("-inf")


class Intents:
    """One classifier per tenant; those without a file of their own share the shipped one."""

    def __init__(
        self,
        embedder: Embedder,
        shipped: Examples,
        classifier: Classifier,
        vectors: dict[str, NDArray[np.float32]],
        *,
        folder: Path | None = None,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        """Use `train`, which makes the rest from files."""
        self._embedder = embedder
        self._shipped = shipped
        self._classifier = classifier
        self._vectors = vectors  # of the shipped sentences, which most files build on
        self._folder = folder
        self._look_seconds = look_seconds
        self._tenants: OrderedDict[str, _Tenant] = OrderedDict()
        self._trained: OrderedDict[str, Classifier] = OrderedDict()  # by hash of the examples

    @classmethod
    async def train(
        cls,
        embedder: Embedder,
        path: Path = DEFAULT_EXAMPLES,
        *,
        folder: Path | None = None,
        look_seconds: float = LOOK_SECONDS,
    ) -> Intents:
        """Learn the shipped examples; those of the tenants when they are needed first.

        folder: holds NAME-OF-TENANT.yaml files. look_seconds: how old what is known may be.
        Raises SettingsInvalid when `path` has faults.
        """
        shipped = await asyncio.to_thread(read, path)
        vectors = await embed(embedder, (text for _, text in shipped.pairs()), {})
        classifier = await asyncio.to_thread(learn, shipped, vectors)
        return cls(embedder, shipped, classifier, vectors, folder=folder, look_seconds=look_seconds)

    async def classify(self, text: str, vector: NDArray[np.float32], *, tenant_id: str) -> Guess:
        """Return the likeliest intent of a message for this tenant.

        vector: of `text`, unit length; from the embedder this was trained with.
        """
        classifier = await self._of(tenant_id)
        found = classifier.guess(text, vector)
        return Guess(
            Intent(found.label),
            found.probability,
            found.scope,
            Intent(found.second),
            found.second_probability,
        )

    async def _of(self, tenant_id: str) -> Classifier:
        if self._folder is None or not _FILE_NAME.fullmatch(tenant_id):
            return self._classifier
        tenant = self._tenants.setdefault(tenant_id, _Tenant(self._classifier))
        self._tenants.move_to_end(tenant_id)
        while len(self._tenants) > REMEMBERED_TENANTS:
            self._tenants.popitem(last=False)
        async with tenant.lock:
            if time.monotonic() - tenant.looked >= self._look_seconds:
                await self._look(tenant, self._folder / f"{tenant_id}.yaml")
                tenant.looked = time.monotonic()
        return tenant.classifier

    async def _look(self, tenant: _Tenant, path: Path) -> None:
        """Learn the file anew when it is another than last time."""
        stamp = await asyncio.to_thread(_stamp, path)
        if stamp == tenant.stamp:
            return
        tenant.stamp = stamp  # a broken file is reported once, not every second
        if stamp is None:
            tenant.classifier = self._classifier
            return
        try:
            examples = await asyncio.to_thread(read, path, self._shipped)
        except SettingsInvalid as error:
            log.warning("the last good examples of intents stay in use: %s", error.message)
            return
        digest = examples.digest
        if digest not in self._trained:
            texts = (text for _, text in examples.pairs())
            vectors = await embed(self._embedder, texts, self._vectors)
            self._trained[digest] = await asyncio.to_thread(learn, examples, vectors)
            while len(self._trained) > REMEMBERED_TENANTS:
                self._trained.popitem(last=False)
        tenant.classifier = self._trained[digest]
        log.info("learned the examples of intents in %s", path.name)


async def embed(
    embedder: Embedder, texts: Iterable[str], known: dict[str, NDArray[np.float32]]
) -> dict[str, NDArray[np.float32]]:
    """Return the vector of each text, computing only those that are not `known`."""
    wanted = list(dict.fromkeys(texts))
    missing = [text for text in wanted if text not in known]
    fresh = dict(zip(missing, await embedder.passages(missing), strict=True)) if missing else {}
    return {text: known[text] if text in known else fresh[text] for text in wanted}


def learn(examples: Examples, vectors: dict[str, NDArray[np.float32]]) -> Classifier:
    """Return the classifier of `examples`; runs for milliseconds to a second."""
    labels, texts = zip(*examples.pairs(), strict=True)
    return Classifier.fit(texts, labels, np.stack([vectors[text] for text in texts]))


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino

"""The composition root: the one place that builds what lives long, and closes it in reverse.

What does not depend on each other starts at the same time: Postgres, the model server, the
embedding model, the import of guardrails-ai. Starting one after the other
takes about three times as long, nearly all of it imports.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    closing,
    nullcontext,
)
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from api.keys import Keys
from api.retention import forgetting
from api.version import VERSION
from api.webhooks import sending
from core import langfuse
from core.metrics import Metrics
from core.price import Budget
from core.settings import (
    KnowledgeSettings,
    LangfuseSettings,
    ModelSettings,
    SafetySettings,
    Settings,
)
from core.telemetry import Tracer
from db.connect import connect
from db.pool import Database
from db.spending import Purse
from embeddings.base import Embedder
from embeddings.minilm import MiniLM
from graphs.runner import Pace, Runner
from knowledge.configured import searching
from knowledge.search import Search
from knowledge.worker import Worker, working
from nodes import context as turn
from nodes.alike import Alike
from nodes.intents import Intents
from nodes.prompts import Prompts
from nodes.replies import Replies
from safety import credentials
from safety.guard import Guard
from safety.placeholders import mask_plain
from safety.policy import Policies
from safety.quiet import silence
from tgi.models import Models
from tgi.models import connect as chat_models
from tgi.spawn import embedded_server
from tools.configured import configured
from tools.policy import Policy
from tools.reviews import Reviews

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Services:
    """What requests are served with; lives as long as the process."""

    settings: Settings
    database: Database
    embedder: Embedder
    search: Search
    models: Models
    guard: Guard
    tracer: Tracer
    runner: Runner
    metrics: Metrics
    worker: Worker | None  # works on the queue; None: others do
    reviews: Reviews
    keys: Keys | None  # None: everybody who reaches the port is trusted


@asynccontextmanager
async def build(settings: Settings, *, background: bool = True) -> AsyncIterator[Services]:
    """Open everything that `settings` ask for; raises the ParleyError of what fails first.

    background: whether to work on the job queue too, as the settings say.
    """
    keys_file = settings.api.keys_file  # first: what is wrong with it is told at once
    keys = None if keys_file is None else await asyncio.to_thread(Keys, keys_file)
    policies = await asyncio.to_thread(Policies.load, settings.safety.policy_file)
    metrics = Metrics()
    async with (
        started(tracing(settings.langfuse, policies)) as tracer_soon,
        started(connect(settings.database)) as database_soon,
        started(model_server(settings.model)) as model_url_soon,
        started(embedding(settings.knowledge)) as embedder_soon,
        started(training(embedder_soon, settings.run.intents_folder)) as intents_soon,
        started(guarding(settings.safety, policies, embedder_soon, metrics)) as guard_soon,
    ):
        # Together, so that whatever fails first is told first.
        tracer, database, model_url, embedder, intents, guard = await asyncio.gather(
            tracer_soon, database_soon, model_url_soon, embedder_soon, intents_soon, guard_soon
        )
        prompts, replies, alike = await asyncio.to_thread(
            lambda: (Prompts.load(), Replies.load(), Alike.load())
        )
        policy = await asyncio.to_thread(Policy.load, settings.tools.policy_file)
        async with (
            searching(settings.knowledge, embedder, metrics) as search,
            configured(settings, database, os.environ, search=search) as tools,
            chat_models(
                settings.model, url=model_url, embedder=embedder, metrics=metrics
            ) as models,
            Runner(
                turn.Services(
                    database=database,
                    embedder=embedder,
                    search=search,
                    models=models,
                    budgets=models.catalog.budgets,
                    purse=purse(database, models.catalog.budgets),
                    guard=guard,
                    intents=intents,
                    prompts=prompts,
                    replies=replies,
                    alike=alike,
                    metrics=metrics,
                    tools=tools,
                    policy=policy,
                ),
                limits(settings),
                pace(settings),
                tracer,
            ) as runner,
            jobs(settings, database, embedder, background=background) as worker,
            telling(settings, database, background=background),
            forgetting(database, guard.policies) if background else nullcontext(),
        ):
            yield Services(
                settings=settings,
                database=database,
                embedder=embedder,
                search=search,
                models=models,
                guard=guard,
                tracer=tracer,
                runner=runner,
                metrics=metrics,
                worker=worker,
                reviews=runner.reviews,
                keys=keys,
            )


@asynccontextmanager
async def started(manager: AbstractAsyncContextManager[T]) -> AsyncIterator[Awaitable[T]]:
    """Enter `manager` in a task of its own; yield its value to be awaited.

    The same task enters and leaves it, as timeouts and task groups inside it require.
    """
    value: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    leave = asyncio.Event()
    entered = False

    async def hold() -> None:
        nonlocal entered
        async with manager as result:
            entered = True
            if not value.done():
                value.set_result(result)
            await leave.wait()

    def tell(task: asyncio.Task[None]) -> None:
        if not entered and not value.done():
            error = None if task.cancelled() else task.exception()
            if error is None:
                value.cancel()
            else:
                value.set_exception(error)
                value.exception()  # seen, also when nobody awaits it any more

    task = asyncio.create_task(hold())
    task.add_done_callback(tell)
    try:
        yield value
    finally:
        leave.set()
        if not entered:
            task.cancel()
        await asyncio.wait([task])
        if entered and not task.cancelled():
            task.result()  # what went wrong while it closed


@asynccontextmanager
async def guarding(
    settings: SafetySettings,
    policies: Policies,
    embedder_soon: Awaitable[Embedder],
    metrics: Metrics,
) -> AsyncIterator[Guard]:
    """Yield the checks; guardrails-ai is imported while the embedding model is."""
    key = settings.placeholder_key
    secret = key.get_secret_value().encode() if key is not None else None
    await asyncio.to_thread(silence)
    embedder = await embedder_soon
    yield await asyncio.to_thread(
        lambda: Guard.build(embedder, policies, metrics=metrics, key=secret)
    )


@asynccontextmanager
async def model_server(settings: ModelSettings) -> AsyncIterator[str]:
    """Yield the base URL of the model server; without one in the settings, of our own."""
    if not settings.embedded:
        yield settings.url or ""  # a file names its own
        return
    async with embedded_server() as url:
        yield url


@asynccontextmanager
async def tracing(settings: LangfuseSettings, policies: Policies) -> AsyncIterator[Tracer]:
    """Yield the tracer; without keys the one that does nothing."""
    masks = any(policy.masking.traces for policy in policies.all)
    mask = mask_plain if masks else credentials.redact
    tracer = await langfuse.tracer(settings, release=VERSION, mask=mask)
    try:
        yield tracer
    finally:
        await tracer.close()


@asynccontextmanager
async def embedding(settings: KnowledgeSettings) -> AsyncIterator[MiniLM]:
    """Yield the embedding model."""
    embedder = await asyncio.to_thread(MiniLM.load, settings.embed_threads)
    with closing(embedder):
        yield embedder


@asynccontextmanager
async def training(embedder_soon: Awaitable[Embedder], folder: Path) -> AsyncIterator[Intents]:
    """Yield the classifiers of intents, the shipped one trained on its examples."""
    yield await Intents.train(await embedder_soon, folder=folder)


@asynccontextmanager
async def jobs(
    settings: Settings, database: Database, embedder: Embedder, *, background: bool
) -> AsyncIterator[Worker | None]:
    """Yield the worker that reads documents beside the requests; it begins without delay."""
    if not background or not settings.knowledge.workers:
        yield None
        return
    worker = Worker(
        database,
        embedder,
        settings=settings.knowledge,
        concurrency=settings.knowledge.workers,
        drain_seconds=settings.api.drain_seconds,
    )
    async with working(worker):
        yield worker


@asynccontextmanager
async def telling(
    settings: Settings, database: Database, *, background: bool
) -> AsyncIterator[None]:
    """Send notices beside the requests."""
    if not background:
        yield
        return
    async with sending(database, settings.webhooks):
        yield


def purse(database: Database, budgets: Sequence[Budget]) -> Purse | None:
    """Return what knows how much budgets have left, None where there are none."""
    return Purse(database, budgets) if budgets else None


def limits(settings: Settings) -> turn.Limits:
    """Return how much of everything a turn may use."""
    return turn.Limits(
        history_tokens=settings.run.history_tokens,
        passages=settings.knowledge.passages,
        max_output_tokens=settings.model.max_output_tokens,
        # The embedded one only quotes.
        rewrite_with_model=not settings.model.embedded,
        context=settings.knowledge.context,
        context_tokens=settings.knowledge.context_tokens,
        context_order=settings.knowledge.context_order,
        cache_entries=settings.cache.entries if settings.cache.enabled else 0,
        cache_seconds=settings.cache.ttl_seconds,
        cache_similarity=settings.cache.similarity,
        configuration=f"{VERSION} {settings.knowledge.model_dump_json()}",
        unsupported=settings.run.unsupported,
        offer_always=settings.tools.offer == "always",
    )


def pace(settings: Settings) -> Pace:
    """Return how fast leases and flushes tick."""
    return Pace(
        lease_seconds=settings.run.lease_seconds,
        heartbeat_seconds=settings.run.heartbeat_seconds,
        flush_seconds=settings.run.flush_seconds,
        max_seconds=settings.run.max_seconds,
        max_attempts=settings.run.max_attempts,
    )

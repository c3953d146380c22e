"""What a node is handed besides the state: identity, services, limits. Never checkpointed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from core.events import Emit
from core.metrics import Metrics
from core.price import Budget
from db.pool import Database
from db.spending import Purse
from embeddings.base import Embedder
from knowledge.assemble import Order, Strategy
from knowledge.filter import Reader
from knowledge.search import Search
from nodes.alike import Alike
from nodes.intents import Intents
from nodes.prompts import Prompts
from nodes.replies import Replies
from nodes.stages import Stages
from nodes.support import Policy as Unsupported
from safety.guard import About, Guard
from tgi.catalog import Task
from tgi.models import Models
from tgi.routing import Wish
from tools.ledger import Held
from tools.policy import Policy
from tools.registry import Registry
from tools.tool import Caller


@dataclass(frozen=True, slots=True)
class Services:
    """The long-lived things that every turn of a process shares."""

    database: Database
    embedder: Embedder
    search: Search
    models: Models
    guard: Guard
    intents: Intents
    prompts: Prompts
    replies: Replies
    alike: Alike
    metrics: Metrics
    tools: Registry
    policy: Policy
    budgets: tuple[Budget, ...] = ()  # of money for models, of all tenants
    purse: Purse | None = None  # knows what they have left; None: nobody has one


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of everything a turn may use."""

    history_tokens: int = 2000  # earlier messages in the prompt
    history_messages: int = 40  # looked at, before the token budget cuts
    passages: int = 5  # sources in the prompt
    max_output_tokens: int = 512
    rewrite_with_model: bool = False  # follow-ups; the extractive model cannot
    context: Strategy = "relevance"  # what counts when passages are chosen
    context_tokens: int = 2400  # all passages in the prompt
    context_order: Order = "best_first"
    cache_entries: int = 2000  # answers kept to be given again, per tenant; 0: none
    cache_seconds: float = 3600.0  # their life at most
    cache_similarity: float = 0.9  # cosine of two questions that may share an answer
    configuration: str = ""  # changes with every setting that may change an answer
    unsupported: Unsupported = "drop"  # what happens to a sentence that its sources do not support
    offer_always: bool = False  # tools for every question, not only for what sounds like a task
    steps: int = 20  # answers of the model that ask for tools
    calls: int = 50  # of tools
    repeats: int = 3  # of the same call with the same arguments
    turn_tokens: int = 100_000  # of all answers of the model, their prompts included


async def _nothing() -> None:
    """Store nothing: there is no run."""


@dataclass(frozen=True, slots=True)
class Context:
    """One turn's surroundings."""

    tenant_id: str
    user_id: str
    thread_id: str
    run_id: str
    services: Services
    limits: Limits
    stages: Stages  # measures the nodes and remembers what they changed
    emit: Emit  # appends to the run's journal
    groups: tuple[str, ...] = ()  # that the user belongs to; none until there are accounts
    roles: frozenset[str] = frozenset()
    names: tuple[str, ...] = ()  # of the user
    held: Held | None = None  # the lease of the run; without one no tool is offered
    flush: Callable[[], Awaitable[None]] = _nothing  # stores events and checkpoints now

    @property
    def reader(self) -> Reader:
        """Return for whom documents are searched."""
        return Reader(self.user_id, self.groups)

    async def wish(self, task: Task, *, tokens: int = 0) -> Wish:
        """Return what this turn wants of a model; tokens: of prompt and answer together.

        Raises DatabaseUnavailable when nobody knows what may still be spent.
        """
        left = None
        if (purse := self.services.purse) is not None:
            left = await purse.left(
                tenant_id=self.tenant_id, user_id=self.user_id, thread_id=UUID(self.thread_id)
            )
        whose = (self.tenant_id, self.user_id, self.thread_id)
        return Wish(task, *whose, tokens, None if left is None else float(left))

    def about(self, *, protected: str = "", sources: tuple[str, ...] = ()) -> About:
        """Return what the checks may know about a text of this turn."""
        return About(self.tenant_id, protected, sources, self.names)

    @property
    def caller(self) -> Caller:
        """Return on whose behalf tools are called."""
        return Caller(self.tenant_id, self.user_id, self.groups, self.roles)

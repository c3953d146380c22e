"""All models of the model file, as nodes ask them: by task, not by address."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage

from core.breaker import Breaker
from core.errors import ModelError, ModelUnavailable, SettingsInvalid
from core.metrics import Metrics
from core.price import cost_usd
from core.settings import ModelSettings
from core.turn import ModelCall, ModelRecord, Usage
from embeddings.base import Embedder
from tgi import catalog
from tgi.adapters import Adapter, check_adapter
from tgi.catalog import Catalog, Model, Task
from tgi.chat_model import TgiChatModel
from tgi.client import Client, Timeouts, pool
from tgi.endpoints import BROKEN, Endpoint, Endpoints
from tgi.hosted import hosted
from tgi.identity import identify
from tgi.local import LocalModel
from tgi.native import Native
from tgi.offline import EmbedderTokens, EstimatedTokens, FileTokens
from tgi.profiles import PROFILES
from tgi.routing import Choice, Router, Wish
from tgi.tokens import Counters, Remembered, ServerTokens, TokenCounter

log = logging.getLogger(__name__)
LOCAL = "parley-extractive"  # the name under which the model of this process is told


class Chat(Protocol):
    """What nodes use of a chat model; each is a BaseChatModel besides."""

    async def info(self) -> ModelRecord:
        """Return which model really answers; raises ModelError when nobody knows."""


@dataclass(slots=True)
class Call:
    """One question to a model, while it lasts."""

    task: Task
    choice: Choice
    tried: Sequence[Mapping[str, str]]
    usage: Usage | None = None
    error: str = ""
    ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Served:
    """A model of the file, and what serves it."""

    spec: Model
    chat: BaseChatModel
    endpoints: Endpoints | None = None  # None: at a provider, or in this process
    breaker: Breaker | None = None  # of a provider; endpoints have one each
    counters: Counters | None = None  # None: nobody said how its tokens are counted

    @property
    def healthy(self) -> bool:
        """Return whether it may be asked now."""
        if self.breaker is not None:
            return not self.breaker.rests
        return self.endpoints is None or self.endpoints.healthy


class Models:
    """The models; ask for a task's choices, then call them one after the other."""

    def __init__(
        self,
        catalog: Catalog,
        served: Mapping[str, Served],
        *,
        last: BaseChatModel | None = None,
        own: Counters | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        """last: answers from its sources when nobody else does; None: nobody.

        own: counts its tokens.
        """
        self.catalog = catalog
        self.last = last
        self._own = own
        self._served = dict(served)
        self._metrics = metrics
        self._router = Router(catalog, lambda name: self._served[name].healthy)
        self._first = next(iter(catalog.models))

    @classmethod
    def of(cls, chat: BaseChatModel, *, last: BaseChatModel | None = None) -> Models:
        """Return the models of a file that has only this one, which costs nothing."""
        spec = Model(endpoints=("http://127.0.0.1",), context_tokens=1_000_000)
        return cls(Catalog(models={"default": spec}), {"default": Served(spec, chat)}, last=last)

    def choices(self, wish: Wish) -> list[Choice]:
        """Return the models to ask, in order; [] when none may be asked."""
        return self._router.choose(wish)

    def healthy(self, name: str) -> bool:
        """Return whether a model may be asked now."""
        return name not in self._served or self._served[name].healthy

    def better(self, choices: Sequence[Choice], than: Choice, wish: Wish) -> Choice | None:
        """Return a model to ask when one did not know, None when there is no better one."""
        if than.name not in self._served or not self._router.escalates(wish):
            return None
        return self._router.better(choices, than, wish.task)

    def chat(self, name: str) -> BaseChatModel:
        """Return a model by its name in the file, or that of this process."""
        if name == LOCAL and self.last is not None and name not in self._served:
            return self.last
        return self._served[name].chat

    def counters(self, name: str) -> Counters | None:
        """Return how a model's tokens are counted, None where nobody said."""
        served = self._served.get(name)
        return served.counters if served is not None else self._own

    def spec(self, name: str) -> Model | None:
        """Return what the file says about a model, None for that of this process."""
        return self.catalog.models.get(name)

    def small(self, wish: Wish, *, seconds: float) -> tuple[Choice, Native] | None:
        """Return who does a small task on /generate, where its answer is held to a grammar.

        None when the file has no rule for the task, or none of its models has that route.
        seconds: for the whole exchange.
        """
        if self.catalog.stated(wish.task, wish.tenant_id) is None:
            return None
        for choice in self.choices(wish):
            served = self._served[choice.name]
            profile = PROFILES[served.spec.profile]
            if served.endpoints is not None and profile.native and served.healthy:
                adapter = served.spec.adapter
                native = Native(served.endpoints, profile, adapter_id=adapter, seconds=seconds)
                return choice, native
        return None

    async def info(self, name: str | None = None) -> ModelRecord:
        """Return which model really answers under a name, by default the first of the file.

        Never raises: what a server does not say is told as the file has it.
        """
        name = name or self._first
        chat = self.chat(name)
        if isinstance(chat, TgiChatModel) and not self._served[name].healthy:
            return chat.known()  # nobody should wait for a server that is left alone
        try:
            return await cast(Chat, chat).info()
        except ModelError:
            assert isinstance(chat, TgiChatModel)  # the others know themselves
            return chat.known()

    async def wanted(self, wish: Wish) -> ModelRecord:
        """Return which model answers when all is well."""
        preferred = self._router.preferred(wish)
        return await self.info(preferred[0].name if preferred else None)

    async def check(self) -> None:
        """Ask every model's server which model it is; raises the ModelError of the first."""
        for served in self._served.values():
            if isinstance(chat := served.chat, TgiChatModel):
                await identify(chat.client, chat.dialect)

    @contextmanager
    def calling(
        self, task: Task, choice: Choice, tried: Sequence[Mapping[str, str]] = ()
    ) -> Iterator[Call]:
        """Measure one call, and count how it ends; set its usage inside."""
        call = Call(task, choice, list(tried))
        began = time.perf_counter()
        outcome = "cancelled"
        try:
            yield call
            outcome = "answered"
            self._note(choice, failed=False)
        except asyncio.CancelledError:
            call.error = "cancelled"
            raise
        except ModelError as error:
            call.error = outcome = error.code
            self._note(choice, failed=isinstance(error, BROKEN))
            raise
        finally:
            call.ms = (time.perf_counter() - began) * 1000
            if self._metrics is not None:
                self._metrics.model_calls.labels(choice.name, task, outcome).inc()

    def _note(self, choice: Choice, *, failed: bool) -> None:
        """Tell the breaker of a provider how a call ended."""
        served = self._served.get(choice.name)
        if served is not None and served.breaker is not None:
            served.breaker.note(failed=failed)

    def record(self, call: Call) -> ModelCall:
        """Return what the turn log keeps of a call."""
        spec = self.spec(call.choice.name)
        return ModelCall(
            task=call.task,
            model=call.choice.name,
            why=list(call.choice.why),
            tried=[dict(one) for one in call.tried],
            usage=call.usage,
            cost_usd=cost_usd(call.usage, spec.price) if spec is not None else 0.0,
            ms=round(call.ms, 1),
            error=call.error,
        )

    async def ask(
        self, wish: Wish, messages: Sequence[BaseMessage | tuple[str, str]], **parameters: Any
    ) -> tuple[AIMessage, ModelCall]:
        """Return a whole answer of the first model that gives one, and the record of the call.

        Raises the ModelError of the last one that was asked, ModelUnavailable when none may be.
        """
        failed: ModelError = ModelUnavailable("No model may be asked for this.")
        tried: list[dict[str, str]] = []
        for choice in self.choices(wish):
            try:
                with self.calling(wish.task, choice, tried) as call:
                    answer = await self.chat(choice.name).ainvoke(list(messages), **parameters)
                    call.usage = counted(answer)
            except ModelError as error:
                tried.append({"model": choice.name, "error": error.code})
                failed = error
                continue
            return answer, self.record(call)
        raise failed

    def breakers(self) -> Iterator[tuple[str, str, bool]]:
        """Yield each server: its model, its name, and whether it is left alone."""
        for name, served in self._served.items():
            for one in served.endpoints.all if served.endpoints else ():
                yield name, one.name, one.breaker.is_open


def counted(message: AIMessage | None) -> Usage | None:
    """Return the tokens that a message says it took, None when it does not say."""
    told = message.usage_metadata if message is not None else None
    if told is None:
        return None
    return Usage(
        prompt_tokens=told["input_tokens"],
        completion_tokens=told["output_tokens"],
        total_tokens=told["total_tokens"],
    )


@asynccontextmanager
async def connect(
    settings: ModelSettings,
    *,
    url: str,
    embedder: Embedder,
    metrics: Metrics | None = None,
    environment: Mapping[str, str] = os.environ,
) -> AsyncIterator[Models]:
    """Give the models that the settings ask for; their connections close with the block.

    url: of the server where there is no file. environment: where the keys are that the file names.
    Raises SettingsInvalid.
    """
    file = catalog.load(settings, url)
    timeouts = Timeouts.of(settings)
    estimate = Remembered(EstimatedTokens(embedder))
    own = Counters(Remembered(EmbedderTokens(embedder)), estimate)
    async with AsyncExitStack() as stack:
        served = {}
        for name, spec in file.models.items():
            key = _key(spec, settings, environment, own=settings.file is None)
            limit = spec.max_output_tokens or settings.max_output_tokens
            if spec.provider is not None:
                chat = hosted(
                    spec.provider,
                    name=spec.name,
                    key=key or "",
                    max_tokens=limit,
                    seconds=timeouts.total,
                    options=spec.options,
                )
                served[name] = Served(
                    spec,
                    chat,
                    breaker=_breaker(settings),
                    counters=Counters(estimate, estimate),
                )
                continue
            clients = []
            for address in spec.endpoints:
                http = await stack.enter_async_context(pool(address, timeouts))
                client = Client(http, address, api_key=key, timeouts=timeouts)
                clients.append(Endpoint(_host(address), client, _breaker(settings), _check(spec)))
            endpoints = Endpoints(clients)
            model = TgiChatModel(
                client=endpoints,
                dialect=PROFILES[spec.profile],
                model_name=spec.name,
                max_tokens=limit,
                adapter=Adapter(spec.adapter) if spec.adapter else None,
            )
            counters = own  # the embedded server has the embedding model's tokenizer
            if not settings.embedded:
                counters = Counters(_counter(spec, endpoints, estimate), estimate)
            served[name] = Served(spec, model, endpoints, counters=counters)
        yield Models(file, served, last=local(embedder), own=own, metrics=metrics)


def local(embedder: Embedder) -> LocalModel:
    """Return the extractive model of this process."""

    def make() -> Any:
        from tgi.embedded.extractive import ExtractiveModel  # it reads files; hardly ever needed

        return ExtractiveModel(embedder)

    return LocalModel(make=make)


def _counter(spec: Model, endpoints: Endpoints, estimate: TokenCounter) -> TokenCounter:
    """Return what counts a model's tokens best."""
    if spec.tokenizer is not None:
        return Remembered(FileTokens.load(spec.tokenizer))
    profile = PROFILES[spec.profile]
    if ServerTokens.has_one(profile):
        return Remembered(ServerTokens(endpoints.post, profile, spec.name))
    return estimate


def _check(spec: Model) -> Callable[[Client], Awaitable[None]] | None:
    """Return what finds out whether a server has a model's adapter, None when there is none."""
    if spec.adapter is None:
        return None
    adapter = Adapter(spec.adapter)
    profile = PROFILES[spec.profile]

    async def check(client: Client) -> None:
        await check_adapter(client, profile, spec.name, adapter)

    return check


def _host(url: str) -> str:
    """Return what logs and metrics call a server."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or parts.scheme}"


def _breaker(settings: ModelSettings) -> Breaker:
    return Breaker(failures=settings.breaker_failures, rest_seconds=settings.breaker_seconds)


def _key(
    spec: Model, settings: ModelSettings, environment: Mapping[str, str], *, own: bool
) -> str | None:
    """Return the key for a model's servers."""
    if own:
        return settings.api_key.get_secret_value() if settings.api_key else None
    if spec.api_key_env is None:
        return None
    if not (key := environment.get(spec.api_key_env)):
        raise SettingsInvalid(f"{catalog.VARIABLE}: {spec.api_key_env} is not set.")
    return key

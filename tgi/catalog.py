"""The model file: which models there are, where they are served, and what each is good for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from core.errors import SettingsInvalid
from core.files import Closed, read
from core.price import Budget, Price
from core.settings import ModelSettings
from tgi.hosted import Provider

VARIABLE = "MODEL_FILE"
Task = Literal["answer", "rewrite", "classify", "judge", "summarise"]
Share = Annotated[float, Field(ge=0, le=1)]
Profile = Literal["tgi", "vllm", "llamacpp", "openai"]


def _address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError("an http or https address is needed")
    if parts.username or parts.password:
        raise ValueError("a key does not belong into an address; name its variable in api_key_env")
    return url


class Model(Closed):
    """One model and the servers that serve it, or the provider that does."""

    endpoints: tuple[Annotated[str, AfterValidator(_address)], ...] = ()
    profile: Profile = "tgi"
    provider: Provider | None = None  # instead of endpoints; needs its extra
    options: Mapping[str, Any] = {}  # what the provider's class takes besides: azure_endpoint, …
    name: str = "tgi"  # sent with each request; TGI takes `tgi` for its base model
    adapter: str | None = None  # LoRA adapter on the base model that is served there
    api_key_env: str | None = None  # the variable of the environment that holds the key
    context_tokens: Annotated[int, Field(ge=512)] = 8192  # prompt and answer together
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None  # None: as the settings say
    price: Price = Price()  # USD per million tokens
    quality: Share | Mapping[Task, Share] = 1.0  # how good it is, by your own evals
    tokenizer: Path | None = None  # its tokenizer.json; None: the server is asked

    @model_validator(mode="after")
    def _is_served(self) -> Model:
        if bool(self.endpoints) == bool(self.provider):
            raise ValueError("either endpoints or a provider is needed")
        if self.provider and self.api_key_env is None:
            raise ValueError("a provider asks for a key: name its variable in api_key_env")
        return self

    def good(self, task: Task) -> float:
        """Return how good it is at a task, in [0, 1]."""
        return self.quality if isinstance(self.quality, float) else self.quality.get(task, 0.0)


class Rule(Closed):
    """What a task asks of a model."""

    bar: Share = 0.0  # at least this good
    models: tuple[str, ...] = ()  # only these, in this order of preference; (): the cheapest first
    escalate: bool = True  # ask a better one when the first does not know


class Experiment(Closed):
    """Gives each user, or each conversation, one of several models, always the same one."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    task: Task = "answer"
    by: Literal["user", "thread"] = "user"
    weights: Mapping[str, Annotated[int, Field(ge=0)]]

    @model_validator(mode="after")
    def _is_possible(self) -> Experiment:
        if not any(self.weights.values()):
            raise ValueError("at least one weight has to be above 0")
        return self


class Tenant(Closed):
    """What is different for one tenant."""

    tasks: Mapping[Task, Rule] = {}


class Catalog(Closed):
    """Everything the model file says. The first model is the one that names Parley's answers."""

    models: Mapping[str, Model] = Field(min_length=1)
    tasks: Mapping[Task, Rule] = {}
    tenants: Mapping[str, Tenant] = {}
    experiments: tuple[Experiment, ...] = ()
    budgets: tuple[Budget, ...] = ()

    @model_validator(mode="after")
    def _names_what_exists(self) -> Catalog:
        rules = [
            *self.tasks.values(),
            *(r for t in self.tenants.values() for r in t.tasks.values()),
        ]
        named = {name for rule in rules for name in rule.models}
        named |= {name for experiment in self.experiments for name in experiment.weights}
        if unknown := named - self.models.keys():
            raise ValueError(f"there is no model {', '.join(sorted(unknown))}")
        tasks = [experiment.task for experiment in self.experiments]
        if len(tasks) != len(set(tasks)):
            raise ValueError("only one experiment for each task")
        kinds = [(budget.tenant, budget.scope, budget.per) for budget in self.budgets]
        if len(kinds) != len(set(kinds)):
            raise ValueError("only one budget for each tenant, scope and period")
        return self

    def rule(self, task: Task, tenant_id: str) -> Rule:
        """Return what a task asks of a model, for a tenant."""
        return self.stated(task, tenant_id) or Rule()

    def stated(self, task: Task, tenant_id: str) -> Rule | None:
        """Return what the file says about a task, for a tenant; None when it says nothing."""
        own = self.tenants.get(tenant_id, Tenant()).tasks
        return own.get(task) or self.tasks.get(task)

    def experiment(self, task: Task) -> Experiment | None:
        """Return the experiment on a task."""
        return next((one for one in self.experiments if one.task == task), None)


def load(settings: ModelSettings, url: str) -> Catalog:
    """Return the model file that the settings name, or the one model that they describe.

    url: of the server where there is no file. Raises SettingsInvalid.
    """
    if settings.file is not None:
        return read(settings.file, Catalog, VARIABLE)
    only: dict[str, Any] = {
        "endpoints": (url,),
        "profile": settings.profile,
        "name": settings.name,
        "context_tokens": settings.context_tokens,
    }
    try:
        return Catalog(models={"default": Model(**only)})
    except ValueError as error:
        raise SettingsInvalid(f"MODEL_URL: {url!r} is no http or https address.") from error

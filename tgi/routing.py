"""Which models to ask, in which order, and why."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from core.price import MILLION
from tgi.catalog import Catalog, Experiment, Model, Rule, Task

Level = Literal["full", "fallback", "degraded", "cached", "canned"]
LEVELS: tuple[Level, ...] = get_args(Level)  # the best first


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants of a model."""

    task: Task
    tenant_id: str = ""
    user_id: str = ""
    thread_id: str = ""
    tokens: int = 0  # of prompt and answer together, at most
    left_usd: float | None = None  # what may still be spent; None: no budget


@dataclass(frozen=True, slots=True)
class Choice:
    """A model to ask."""

    name: str  # in the model file
    level: Level
    why: tuple[str, ...]


class Router:
    """Chooses by the model file: the cheapest that reaches the bar, then whatever else may do."""

    def __init__(self, catalog: Catalog, healthy: Callable[[str], bool] = lambda _: True) -> None:
        """healthy: whether a model may be asked now."""
        self._catalog = catalog
        self._healthy = healthy

    def choose(self, wish: Wish) -> list[Choice]:
        """Return the models to ask, the first one first; [] when none may be asked.

        What is too dear for the budget is left out. What is too small for the prompt comes after
        what is not, for then something has to be cut from it; what is left alone after failures
        comes last. `full` is only the one that is asked when all is well.
        """
        wanted = self.preferred(wish)
        for place, choice in enumerate(wanted[1:], start=1):
            why = f"{wanted[0].name} fails"
            wanted[place] = replace(choice, level="fallback", why=(*choice.why, why))
        return sorted(wanted, key=lambda choice: not self._healthy(choice.name))

    def preferred(self, wish: Wish) -> list[Choice]:
        """Return the models that may be asked as if all were well, the first one first."""
        rule = self._catalog.rule(wish.task, wish.tenant_id)
        paid = [name for name in self._named(rule) if self._is_paid_for(name, wish)]
        wanted = [Choice(name, "full", (why,)) for name, why in self._ordered(paid, rule, wish)]
        experiment = self._catalog.experiment(wish.task)
        if experiment is not None and not rule.models:
            wanted = _assigned(wanted, experiment, wish)
        return sorted(wanted, key=lambda choice: not self._is_roomy(choice.name, wish))

    def escalates(self, wish: Wish) -> bool:
        """Return whether a better model is asked when one does not know."""
        return self._catalog.rule(wish.task, wish.tenant_id).escalate

    def better(self, choices: Sequence[Choice], than: Choice, task: Task) -> Choice | None:
        """Return the first model among `choices` that is better at a task."""
        models = self._catalog.models
        known = models[than.name].good(task)
        for choice in choices:
            if models[choice.name].good(task) > known:
                why = f"escalated: {than.name} did not know"
                return replace(choice, level="full", why=(why,))
        return None

    def _named(self, rule: Rule) -> Sequence[str]:
        return rule.models or tuple(self._catalog.models)

    def _is_paid_for(self, name: str, wish: Wish) -> bool:
        model = self._catalog.models[name]
        return model.price.free or wish.left_usd is None or _dearest(model, wish) < wish.left_usd

    def _is_roomy(self, name: str, wish: Wish) -> bool:
        return self._catalog.models[name].context_tokens >= wish.tokens

    def _ordered(self, names: Sequence[str], rule: Rule, wish: Wish) -> list[tuple[str, str]]:
        """Return the models in the order of the policy, each with why it stands there."""
        if rule.models:
            return [(name, "as its rule lists it") for name in names]
        models = self._catalog.models
        good = [name for name in names if models[name].good(wish.task) >= rule.bar]
        good.sort(key=lambda name: models[name].price.input + models[name].price.output)
        rest = sorted(set(names) - set(good), key=lambda name: -models[name].good(wish.task))
        reached = f"the cheapest of {len(good)} that reach {rule.bar:g}"
        if len(self._catalog.models) == 1:
            reached = "the only one"
        ranked = [(name, reached if n == 0 else "dearer") for n, name in enumerate(good)]
        return ranked + [(name, f"does not reach {rule.bar:g}") for name in rest]


def share(experiment: Experiment, wish: Wish) -> str:
    """Return the model that an experiment gives to this user or conversation.

    The same one every time, on every replica, as long as its weights stay.
    """
    whom = wish.user_id if experiment.by == "user" else wish.thread_id
    said = "\x1f".join((experiment.name, wish.tenant_id, whom))
    drawn = int.from_bytes(hashlib.sha256(said.encode()).digest()[:8]) / 2**64
    total = sum(experiment.weights.values())
    passed = 0.0
    for name, weight in experiment.weights.items():
        passed += weight / total
        if drawn < passed:
            return name
    return name


def _assigned(wanted: Sequence[Choice], experiment: Experiment, wish: Wish) -> list[Choice]:
    """Return the choices with the one that the experiment gives in front, if it may be asked."""
    name = share(experiment, wish)
    why = f"experiment {experiment.name}"
    drawn = [replace(choice, why=(why,)) for choice in wanted if choice.name == name]
    return drawn + [choice for choice in wanted if choice.name != name]


def _dearest(model: Model, wish: Wish) -> float:
    """Return what a call costs in USD at most."""
    return wish.tokens * max(model.price.input, model.price.output) / MILLION

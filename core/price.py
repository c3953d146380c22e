"""What models cost, and how much may be spent on them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from core.files import Closed
from core.turn import ModelCall, Usage

Scope = Literal["tenant", "user", "thread"]
Per = Literal["day", "month"]
MILLION = 1_000_000
PLACES = 12  # of a sum in USD: below a token of the cheapest model, above what floats get wrong


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs, in USD per million tokens; by default nothing."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    input: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    output: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0

    @property
    def free(self) -> bool:
        """Return whether nothing is to be paid."""
        return self.input == 0 and self.output == 0


class Budget(Closed):
    """How much may be spent in a day or a month of UTC: by a tenant, or by each of its parts."""

    usd: Annotated[Decimal, Field(gt=0, allow_inf_nan=False)]
    per: Per
    scope: Scope  # user, thread: each one has so much
    tenant: str | None = None  # for this tenant alone, instead of what holds for all


def cost_usd(usage: Usage | None, price: Price) -> float:
    """Return what tokens cost, in USD; 0 when they were not counted."""
    if usage is None:
        return 0.0
    spent = usage["prompt_tokens"] * price.input + usage["completion_tokens"] * price.output
    return round(spent / MILLION, PLACES)


def usage_of(calls: Iterable[ModelCall]) -> Usage | None:
    """Return the tokens of all calls together; None when no server counted any."""
    counted = [call["usage"] for call in calls if call["usage"] is not None]
    if not counted:
        return None
    return Usage(
        prompt_tokens=sum(usage["prompt_tokens"] for usage in counted),
        completion_tokens=sum(usage["completion_tokens"] for usage in counted),
        total_tokens=sum(usage["total_tokens"] for usage in counted),
    )


def cost_of(calls: Iterable[ModelCall]) -> float:
    """Return what calls cost together, in USD."""
    return round(sum(call["cost_usd"] for call in calls), PLACES)


def applying(budgets: Iterable[Budget], tenant_id: str) -> list[Budget]:
    """Return the budgets that hold for a tenant; its own stand in for those of all.

    They come in the same order for everybody: whoever counts locks them one after the other.
    """
    chosen: dict[tuple[Scope, Per], Budget] = {}
    for budget in budgets:
        key = (budget.scope, budget.per)
        if budget.tenant == tenant_id or (budget.tenant is None and key not in chosen):
            chosen[key] = budget
    return [chosen[key] for key in sorted(chosen)]

"""What tokens cost."""

from __future__ import annotations

from dataclasses import dataclass

from core.turn import Usage

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens."""

    input: float = 0.0
    output: float = 0.0

    @property
    def free(self) -> bool:
        """Return whether nothing is to be paid."""
        return self.input == 0 and self.output == 0


def cost_usd(usage: Usage | None, price: Price) -> float:
    """Return what an answer cost, in USD; 0 where nothing was counted."""
    if usage is None:
        return 0.0
    spent = usage["prompt_tokens"] * price.input + usage["completion_tokens"] * price.output
    return spent / _MILLION

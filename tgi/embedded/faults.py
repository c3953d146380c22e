"""What the embedded server may be told to do badly: how slow it is, and what goes wrong how often.

Both are values: whether a fault strikes is a function of the seed, the fault and the number of
the request, so that the same run fails the same way again.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Annotated, TypeAlias

from pydantic import ConfigDict, Field, ValidationError

from core.errors import SettingsInvalid
from tgi.embedded.wire import Wire

# A share of the requests, drawn by lot, or each so manieth of them.
When: TypeAlias = (
    Annotated[float, Field(ge=0, le=1)] | Annotated[str, Field(pattern=r"^every:[1-9]\d*$")]
)


class Value(Wire):
    """Base of the values: they do not change, and a key that they do not have is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Timing(Value):
    """How fast the server is, and how much it does at once; by default as it can."""

    tokens_per_second: float = Field(0.0, ge=0)  # of one answer; 0: as fast as it is read
    prefill_ms: float = Field(0.0, ge=0)  # per 1000 tokens of the prompt
    batch: int | None = Field(None, ge=1)  # answers at once; None: all of them
    queue: int | None = Field(None, ge=0)  # requests that wait; None: up to the server's limit

    @property
    def token_seconds(self) -> float:
        """The pause before a token."""
        return 1 / self.tokens_per_second if self.tokens_per_second else 0.0


class Faults(Value):
    """What goes wrong, and when: 0.1 is a tenth of the requests, "every:5" each fifth."""

    drop: When = 0.0  # the connection closes without an answer; at 1 that of any request at all
    overload: When = 0.0  # 429
    fail: When = 0.0  # 424, as when a generation fails
    crash: When = 0.0  # 500
    stall: When = 0.0  # silence before the first token
    pause: When = 0.0  # silence behind some tokens
    cut: When = 0.0  # the connection closes behind some tokens
    garble: When = 0.0  # a frame behind some tokens, or the whole answer, is no JSON
    unknown_tool: When = 0.0  # the tool that is called was not offered
    repeat_call: When = 0.0  # a tool is called twice under the same id
    seed: int = 0
    silence_seconds: float = Field(60.0, ge=0)  # of stall and pause
    after_tokens: int = Field(3, ge=0)  # where pause, cut and garble strike

    def at(self, number: int) -> frozenset[str]:
        """Return the names of the faults that strike request `number`, which counts from 1."""
        told = ((kind, getattr(self, kind)) for kind in KINDS)
        return frozenset(kind for kind, when in told if when and self._strikes(kind, when, number))

    def _strikes(self, kind: str, when: When, number: int) -> bool:
        if isinstance(when, str):
            return number % int(when.removeprefix("every:")) == 0
        # A lot for each request by itself: no fault changes when another one strikes.
        lot = random.Random(f"{self.seed} {kind} {number}")  # noqa: S311 - no secret
        return lot.random() < when


KINDS = tuple(name for name, field in Faults.model_fields.items() if field.annotation == When)


class Behaviour(Value):
    """Everything that can be told to a running server; what is left out is as by default."""

    timing: Timing = Timing()
    faults: Faults = Faults()


def given(options: Iterable[str], **others: float) -> Faults:
    """Return the faults of options such as "cut=0.1" and "overload=every:5".

    others: the fields of Faults that are no kind of fault. Raises SettingsInvalid.
    """
    said = dict(option.partition("=")[::2] for option in options)
    if wrong := [kind for kind in said if kind not in KINDS]:
        raise SettingsInvalid(f"{wrong[0]} is no fault; there are {', '.join(KINDS)}.")
    try:
        return Faults.model_validate({kind: _number(when) for kind, when in said.items()} | others)
    except ValidationError as error:
        place = error.errors()[0]["loc"][0]
        raise SettingsInvalid(
            f"{place} needs a share between 0 and 1, as 0.1, or every:N, as every:5."
        ) from error


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text

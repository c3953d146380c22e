"""Small tasks on /generate, where a grammar leaves the model nothing but the answer.

The types of requests and answers are those of the `text-generation` client; the connection is
our own. Why: docs/decisions/0022-native-client.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from text_generation.errors import (  # type: ignore[import-untyped]
    ValidationError as ParameterError,
)
from text_generation.types import (  # type: ignore[import-untyped]
    Details,
    FinishReason,
    Grammar,
    GrammarType,
    Parameters,
    Request,
    Response,
)

from core.errors import (
    AnswerMisfit,
    ModelRejected,
    ModelUnavailable,
    UnsupportedParameter,
)
from core.text import scrub
from tgi.client import Server
from tgi.failures import from_event
from tgi.profiles import TGI, Profile
from tgi.structured import Shape, inlined, parse, schema_of

SECONDS = 10.0  # a small task that takes longer is not worth the wait
TITLE_TOKENS = 32
_YES, _NO = "yes", "no"
_QUOTES = "\"'“”‘’«»„"


class Generated(Response):  # type: ignore[misc]  # the client ships no types
    """An answer of /generate; details only where they were asked for."""

    details: Details | None = None

    @property
    def cut(self) -> bool:
        """Whether it ended at the limit of its tokens."""
        return bool(self.details and self.details.finish_reason is FinishReason.Length)


class Native:
    """Asks one server for small things; prompts go as they are, without a chat template.

    Greedy, so that the same question gets the same answer. Raises the errors of `Client`,
    ModelTimeout after `seconds`, and AnswerMisfit when the answer has another form than asked.
    """

    def __init__(
        self,
        server: Server,
        profile: Profile = TGI,
        *,
        adapter_id: str | None = None,
        seconds: float = SECONDS,
    ) -> None:
        """adapter_id: LoRA adapter that answers, by the server's name for it.

        Raises UnsupportedParameter for a kind of server that has no such route.
        """
        if not profile.native:
            raise UnsupportedParameter(f"{profile.server} has no /generate.")
        self._server = server
        self._profile = profile
        self._adapter_id = adapter_id
        self._seconds = seconds

    async def yes(self, prompt: str) -> bool:
        """Return whether the model says yes."""
        return await self.choose(prompt, (_YES, _NO)) == _YES

    async def choose(self, prompt: str, choices: Sequence[str]) -> str:
        """Return the one of the choices that the model takes."""
        if not choices or not all(choices):
            raise UnsupportedParameter("A choice needs something to choose from.")
        pattern = "|".join(map(re.escape, choices))
        # No token is shorter than a byte, so the longest choice fits, with its end token.
        room = max(len(choice.encode()) for choice in choices) + 1
        answer = await self.generate(
            prompt, max_new_tokens=room, grammar=Grammar(type=GrammarType.Regex, value=pattern)
        )
        if (said := answer.generated_text.strip()) not in choices:
            raise AnswerMisfit("The model chose something that was not offered.")
        return str(said)

    async def slots(self, prompt: str, shape: Shape, *, max_new_tokens: int = 256) -> Any:
        """Return the values that the prompt gives: of a pydantic class its instance, or a dict."""
        schema = inlined(schema_of(shape), self._profile)
        answer = await self.generate(
            prompt,
            max_new_tokens=max_new_tokens,
            grammar=Grammar(type=GrammarType.Json, value=schema),
        )
        return parse(shape, answer.generated_text, cut=answer.cut)

    async def title(self, prompt: str) -> str:
        """Return one short line, such as a title, without quotation marks around it."""
        answer = await self.generate(prompt, max_new_tokens=TITLE_TOKENS, stop=["\n\n"])
        said = next(filter(str.strip, answer.generated_text.splitlines()), "")
        if not (line := said.strip().strip(_QUOTES).strip()):
            raise AnswerMisfit("The model gave no line of text.")
        return line

    async def generate(
        self,
        prompt: str,
        *,
        max_new_tokens: int,
        grammar: Grammar | None = None,
        stop: Sequence[str] = (),
    ) -> Generated:
        """Return the continuation of a prompt, with the details of its tokens."""
        try:
            wanted = Parameters(
                max_new_tokens=max_new_tokens, grammar=grammar, stop=list(stop), details=True
            )
            payload = Request(inputs=prompt, parameters=wanted).model_dump(exclude_none=True)
        except (ParameterError, ValidationError) as error:
            raise UnsupportedParameter(f"The model cannot be asked this: {error}") from error
        if self._adapter_id is not None:
            payload["parameters"]["adapter_id"] = self._adapter_id
        body = await self._server.post("/generate", payload, seconds=self._seconds)
        if body is None:
            raise ModelRejected("The model server has no /generate.", hint="Check MODEL_PROFILE.")
        return read(body)


def read(body: Any) -> Generated:
    """Return an answer of /generate, or of `/`, which puts it into a list of one.

    Raises the error that the body reports, and ModelUnavailable for another shape.
    """
    if isinstance(body, list) and len(body) == 1:
        (body,) = body
    if isinstance(body, dict) and "error" in body:
        raise from_event(body)
    try:
        answer: Generated = Generated.model_validate(body)
    except ValidationError as error:
        raise ModelUnavailable("The model server sent an answer of an unknown shape.") from error
    answer.generated_text = scrub(answer.generated_text)
    return answer

"""LoRA adapters: how each kind of server is asked for one, and whether it really has it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from core.errors import AdapterMissing
from tgi.client import Server
from tgi.profiles import Profile

if TYPE_CHECKING:
    from tgi.native import Generated

TOLERANCE = 0.02  # nats; batching moves a log probability in 16 bits by less
TOKENS = 16
# Of different kinds, because an adapter may have learned one kind and leave others as they were.
PROMPTS = (
    "Question: How do I return what I bought?\nAnswer:",
    "The quick brown fox",
    "def average(numbers):\n",
    "User: Good morning!\nAssistant:",
)


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter that a server has beside its base model."""

    name: str  # the server's name for it; of llama.cpp the name of its file, or its number there
    scale: float = 1.0  # how much of it; llama.cpp alone is asked for less than all


async def asking(server: Server, profile: Profile, adapter: Adapter) -> dict[str, Any]:
    """Return what a chat request has to say to be answered with the adapter.

    Raises AdapterMissing when llama.cpp, which numbers its adapters, has none of that name.
    """
    if profile.adapters != "numbered":
        return {"model": adapter.name}
    number = await _number(server, adapter)
    return {"lora": [{"id": number, "scale": adapter.scale}]}


async def check_adapter(
    server: Server, profile: Profile, model_name: str, adapter: Adapter
) -> None:
    """Raise AdapterMissing unless the server has the adapter; ModelError when it does not answer.

    model_name: what the server calls the base model.
    """
    if adapter.name == model_name:
        raise AdapterMissing(f"{adapter.name!r} is the base model's name, not an adapter's.")
    if profile.adapters == "numbered":
        await _number(server, adapter)
    elif profile.adapters == "listed":
        listed = await server.get("/v1/models")
        names = [str(model.get("id")) for model in _dicts((listed or {}).get("data"))]
        if adapter.name not in names:
            raise _missing(adapter, names)
    elif not await _answers_differently(server, profile, adapter):
        raise AdapterMissing(
            f"The model server answers with the adapter {adapter.name!r} as without it.",
            hint="Check LORA_ADAPTERS of the server.",
        )


async def _answers_differently(server: Server, profile: Profile, adapter: Adapter) -> bool:
    """Return whether the adapter changes anything.

    TGI takes any name, answers an unknown one with its base model, and says the name as if it
    had it. An adapter that was never trained changes nothing either.
    """
    # Here, because TGI's client brings a second and a third HTTP library with it: a quarter of a
    # second at every start of every process, for a question that few ask.
    from tgi.native import Native

    base = Native(server, profile)
    tuned = Native(server, profile, adapter_id=adapter.name)
    for prompt in PROMPTS:
        one, other, again = await asyncio.gather(
            *(native.generate(prompt, max_new_tokens=TOKENS) for native in (base, tuned, base))
        )
        if _differ(one, other) and not _differ(one, again):  # a busy server may differ by itself
            return True
    return False


def _differ(one: Generated, other: Generated) -> bool:
    ours, theirs = _tokens(one), _tokens(other)
    if len(ours) != len(theirs):
        return True
    return any(
        first != second or abs((a or 0.0) - (b or 0.0)) > TOLERANCE
        for (first, a), (second, b) in zip(ours, theirs, strict=True)
    )


def _tokens(answer: Generated) -> list[tuple[int, float | None]]:
    return [(token.id, token.logprob) for token in answer.details.tokens] if answer.details else []


async def _number(server: Server, adapter: Adapter) -> int:
    """Return llama.cpp's number for an adapter; raises AdapterMissing."""
    listed = _dicts(await server.get("/lora-adapters"))
    for one in listed:
        path = PurePath(str(one.get("path", "")))
        if adapter.name in {str(one["id"]), str(path), path.name, path.stem}:
            return int(one["id"])
    raise _missing(adapter, [PurePath(str(one.get("path", ""))).name for one in listed])


def _missing(adapter: Adapter, names: list[str]) -> AdapterMissing:
    has = ", ".join(names) or "none"
    return AdapterMissing(f"The model server has no adapter {adapter.name!r}; it has: {has}.")


def _dicts(listed: Any) -> list[dict[str, Any]]:
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []

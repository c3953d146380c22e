"""Which kind of server stands at an address, from the routes that only this kind has."""

from __future__ import annotations

from typing import Any, NamedTuple

from core.errors import ModelError, ModelUnavailable
from tgi.client import Client
from tgi.profiles import LLAMACPP, OPENAI, PROFILES, TGI, VLLM, Profile


class Found(NamedTuple):
    """A server: how to talk to it, and what it says about itself."""

    profile: Profile
    model_name: str  # what requests call the model
    context_tokens: int | None  # prompt and answer together; None: it does not say
    slots: int | None  # requests at a time, above which it refuses; None: it does not say


async def detect(client: Client, *, profile: str | None = None, model: str | None = None) -> Found:
    """Return what the server is; `profile` and `model` override what it says.

    Raises ModelUnavailable when nothing there looks like a model server, and what Client raises.
    """
    listed = await client.get("/v1/models")  # every kind has it: what is wrong shows here
    models = listed.get("data") if isinstance(listed, dict) else None
    first = models[0] if isinstance(models, list) and models else {}
    info = await _page(client, "/info")
    version = await _page(client, "/version")
    props = await _page(client, "/props")
    described = (await _page(client, "/openapi.json")).get("info")
    kind = (
        PROFILES[profile]
        if profile
        else _kind(info, version, props, first, described if isinstance(described, dict) else {})
    )
    if kind is None:
        raise ModelUnavailable("No model server was recognised there.", hint="Name its --profile.")
    settings = props.get("default_generation_settings")
    context = {
        TGI.name: info.get("max_total_tokens"),
        VLLM.name: first.get("max_model_len"),
        LLAMACPP.name: settings.get("n_ctx") if isinstance(settings, dict) else None,
    }.get(kind.name)
    return Found(
        profile=kind,
        # TGI would take its model's own name for that of an adapter.
        model_name=model or ("tgi" if kind is TGI else str(first.get("id", ""))),
        context_tokens=context if isinstance(context, int) else None,
        slots=info.get("max_concurrent_requests") if kind is TGI else None,
    )


def _kind(
    info: dict[str, Any],
    version: dict[str, Any],
    props: dict[str, Any],
    model: dict[str, Any],
    described: dict[str, Any],
) -> Profile | None:
    if "model_id" in info and "max_total_tokens" in info:
        return TGI  # the embedded server too, whose `router` says who it really is
    if "version" in version and model.get("owned_by") == "vllm":
        return VLLM
    if "default_generation_settings" in props:
        return LLAMACPP
    if "llama.cpp" in str(described.get("title")):
        return LLAMACPP  # llama-cpp-python's server, which has none of llama-server's own pages
    return OPENAI if "id" in model else None


async def _page(client: Client, path: str) -> dict[str, Any]:
    """Return what stands at a path; {} where nothing does, or something that is no JSON object."""
    try:
        page = await client.get(path)
    except ModelError:
        return {}
    return page if isinstance(page, dict) else {}

"""Which model a server really serves, asked where each kind of server says it."""

from __future__ import annotations

from typing import Any

from core.turn import ModelRecord
from tgi.client import Server
from tgi.profiles import Profile

_ROUTERS = {"text-generation-router": "text-generation-inference"}


async def identify(client: Server, profile: Profile) -> ModelRecord | None:
    """Return the record, or None when this server only says it in its answers.

    Raises ModelError when the server does not answer.
    """
    if profile.identity == "info":
        return _from_info(await client.get("/info"), profile)
    if profile.identity == "version":
        return _from_version(await client.get("/version"), await client.get("/v1/models"), profile)
    if profile.identity == "props":
        return _from_props(await client.get("/props"), profile)
    return None


def _from_info(info: Any, profile: Profile) -> ModelRecord | None:
    if not isinstance(info, dict) or "model_id" not in info:
        return None
    server = _ROUTERS.get(str(info.get("router")), info.get("router") or profile.server)
    return ModelRecord(
        name=str(info["model_id"]),
        version=str(info.get("model_sha") or info.get("docker_label") or info.get("version") or ""),
        server=f"{server} {info.get('version') or ''}".strip(),
    )


def _from_version(version: Any, models: Any, profile: Profile) -> ModelRecord | None:
    if not isinstance(models, dict) or not models.get("data"):
        return None
    build = str(version.get("version", "")) if isinstance(version, dict) else ""
    model = models["data"][0]
    return ModelRecord(
        name=str(model.get("root") or model["id"]),
        version=build,
        server=f"{profile.server} {build}".strip(),
    )


def _from_props(props: Any, profile: Profile) -> ModelRecord | None:
    if not isinstance(props, dict):
        return None
    build = str(props.get("build_info", ""))
    path = str(props.get("model_path") or props.get("model_alias") or "")
    return ModelRecord(
        name=path.replace("\\", "/").rsplit("/", 1)[-1],
        version=build,
        server=f"{profile.server} {build}".strip(),
    )

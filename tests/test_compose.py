"""compose.yaml is valid, has no default password and opens nothing to other machines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest
import yaml

from core.settings import ApiSettings, Settings
from tests.project import ROOT, all_variables

TEXT = (ROOT / "compose.yaml").read_text(encoding="utf-8")
SECRET_NAME = re.compile("PASSWORD|SECRET|SALT|ENCRYPTION_KEY|REDIS_AUTH|AUTH$")
PARLEY = ("migrate", "documents", "worker", "api")


class VariableMissing(Exception):
    """A ${NAME:?} has no value."""


def interpolate(node: Any, environment: dict[str, str]) -> Any:
    """Return parsed YAML with ${NAME:-default} and ${NAME:?reason} replaced as Compose does it."""
    if isinstance(node, dict):
        return {key: interpolate(value, environment) for key, value in node.items()}
    if isinstance(node, list):
        return [interpolate(value, environment) for value in node]
    if not isinstance(node, str):
        return node

    def value(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        found = environment.get(match["name"], "")
        if not found and match["operator"] == ":?":
            raise VariableMissing(match["name"])
        return found or match["rest"] or ""

    pattern = r"\$\$|\$\{(?P<name>[A-Z0-9_]+)(?:(?P<operator>:[-?])(?P<rest>[^}]*))?\}"
    return re.sub(pattern, value, node)


def read(environment: dict[str, str] | None = None) -> dict[str, Any]:
    """Return compose.yaml as Compose sees it; each password is "x" unless given."""
    required = dict.fromkeys(re.findall(r"\$\{([A-Z0-9_]+):\?", TEXT), "x")
    document = interpolate(yaml.safe_load(TEXT), required | (environment or {}))
    assert isinstance(document, dict)
    return document


SERVICES: dict[str, dict[str, Any]] = read()["services"]


def environments() -> Iterator[tuple[str, str, str]]:
    """Yield service, variable and value for every variable of every service."""
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            yield name, variable, value


def test_the_file_fits_the_compose_specification() -> None:
    """The published JSON schema of Compose accepts the file."""
    schema = json.loads(
        files("check_jsonschema.builtin_schemas.vendor")
        .joinpath("compose-spec.json")
        .read_text(encoding="utf-8")
    )
    jsonschema.Draft202012Validator(schema).validate(read())


def test_the_services_the_product_needs_are_there() -> None:
    """Database, migrations, documents and api start by default; the rest has a profile."""
    default = {name for name, service in SERVICES.items() if "profiles" not in service}
    assert default == {"postgres", *PARLEY}
    assert {name for name, service in SERVICES.items() if service.get("profiles") == ["gpu"]} == {
        "tgi"
    }
    assert {name for name, s in SERVICES.items() if s.get("profiles") == ["langfuse"]} == {
        "langfuse-web",
        "langfuse-worker",
        "langfuse-postgres",
        "langfuse-clickhouse",
        "langfuse-redis",
        "langfuse-minio",
    }


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_image_is_pinned_to_a_version(name: str) -> None:
    """No image floats: each tag names at least a major and a minor version."""
    tag = SERVICES[name]["image"].rpartition(":")[2]
    assert re.search(r"\d+\.\d+|\d{4}-\d{2}-\d{2}", tag), SERVICES[name]["image"]


@pytest.mark.parametrize("missing", sorted(set(re.findall(r"\$\{([A-Z0-9_]+):\?", TEXT))))
def test_nothing_starts_without_a_password(missing: str) -> None:
    """Leaving out any password stops Compose before the first container."""
    with pytest.raises(VariableMissing, match=missing):
        read({missing: ""})


@pytest.mark.parametrize(
    ("service", "variable"),
    [(s, v) for s, v, _ in environments() if SECRET_NAME.search(v) and v != "AUTH_DISABLE_SIGNUP"],
)
def test_no_secret_is_written_down(service: str, variable: str) -> None:
    """Each secret comes from the environment, never from the file."""
    marked = read(dict.fromkeys(re.findall(r"\$\{([A-Z0-9_]+)", TEXT), "from-env"))
    assert marked["services"][service]["environment"][variable] == "from-env"


def test_every_setting_reaches_the_api() -> None:
    """What .env sets arrives in the api, under its own name and unchanged."""
    # The folder belongs to the embedded Postgres; who serves users must not be able to migrate.
    variables = all_variables() - {"DATABASE_FOLDER", "DATABASE_ADMIN_URL"}
    marked = read(dict.fromkeys(variables, "from-env"))["services"]["api"]["environment"]
    assert set(marked) == variables
    addresses = {"DATABASE_URL", "DATABASE_READER_URL"}
    assert {v for v, value in marked.items() if value != "from-env"} == addresses


@pytest.mark.parametrize("name", PARLEY)
def test_only_known_settings_are_given_to_parley(name: str) -> None:
    """No variable of ours is misspelt: each one is a field of core.settings."""
    assert set(SERVICES[name]["environment"]) <= all_variables()


def test_what_compose_gives_is_what_settings_accept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty variables mean defaults, and the given ones are valid."""
    for variable, value in SERVICES["api"]["environment"].items():
        monkeypatch.setenv(variable, value)
    settings = Settings()
    assert settings.log.format == "json"
    assert settings.api == ApiSettings(_env_file=None)
    assert settings.database.url is not None
    assert settings.database.admin_url is None


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_no_port_is_open_to_other_machines(name: str) -> None:
    """Every published port is on the host's loopback, and no two services want the same one."""
    for port in SERVICES[name].get("ports", []):
        address, _, _ = port.split(":")
        assert ip_address(address).is_loopback


def test_published_ports_are_distinct() -> None:
    """No two services want the same port of the host, the api's included."""
    published = [p.split(":")[1] for s in SERVICES.values() for p in s.get("ports", [])]
    published.append(str(ApiSettings(_env_file=None).port))
    assert len(set(published)) == len(published)


def test_the_api_keeps_its_loopback_address() -> None:
    """The api shares the host's network, because it refuses to listen anywhere but on loopback."""
    assert SERVICES["api"]["network_mode"] == "host"
    assert ip_address(ApiSettings(_env_file=None).host).is_loopback


@pytest.mark.parametrize("name", PARLEY)
def test_parley_finds_its_database_where_it_is_published(name: str) -> None:
    """Each of our services is sent to the port that Postgres is published on."""
    address, port, _ = SERVICES["postgres"]["ports"][0].split(":")
    for variable in ("DATABASE_URL", "DATABASE_ADMIN_URL"):
        if url := SERVICES[name]["environment"].get(variable):
            assert urlsplit(url).netloc.endswith(f"@{address}:{port}")
            assert urlsplit(url).path == f"/{SERVICES['postgres']['environment']['POSTGRES_DB']}"


def test_the_role_that_serves_users_is_not_the_owner() -> None:
    """Only `migrate` has the owner's password; the others connect as parley_app."""
    owner = SERVICES["postgres"]["environment"]["POSTGRES_USER"]
    assert urlsplit(SERVICES["migrate"]["environment"]["DATABASE_ADMIN_URL"]).username == owner
    for name in ("api", "worker", "documents"):
        assert urlsplit(SERVICES[name]["environment"]["DATABASE_URL"]).username == "parley_app"
        assert "DATABASE_ADMIN_URL" not in SERVICES[name]["environment"]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_whoever_is_waited_for_says_when_it_is_ready(name: str) -> None:
    """Who is waited for is in the same profile and has a health check, or ends by itself."""
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert set(SERVICES[other].get("profiles", [])) <= set(SERVICES[name].get("profiles", []))
        if how["condition"] == "service_healthy":
            assert "test" in SERVICES[other]["healthcheck"]
        else:
            assert how["condition"] == "service_completed_successfully"
            assert SERVICES[other]["restart"] == "no"


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"migrate", "documents", "worker"}))
def test_every_lasting_service_has_a_health_check(name: str) -> None:
    """Whatever serves can be asked how it is; the api's check is in its image.

    A worker's signs of life are in the database, and in the api's figures.
    """
    has_own = "test" in SERVICES[name].get("healthcheck", {})
    assert has_own or (name == "api" and "HEALTHCHECK" in (ROOT / "Dockerfile").read_text("utf-8"))


def test_data_outlives_its_container() -> None:
    """Every store writes to a named volume that the file declares."""
    declared = set(read()["volumes"])
    used = {
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if not volume.startswith((".", "/"))
    }
    assert used == declared
    stores = ("postgres", "langfuse-postgres", "langfuse-clickhouse", "langfuse-minio")
    assert all(SERVICES[store]["volumes"] for store in stores)


def test_mounted_paths_exist() -> None:
    """Docker would make an empty folder of a path that is missing."""
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            path = volume.split(":")[0]
            assert not path.startswith(".") or (ROOT / path).exists()


def test_a_turn_may_finish_when_the_api_is_stopped() -> None:
    """Docker waits longer than the api takes to drain."""
    seconds = int(SERVICES["api"]["stop_grace_period"].removesuffix("s"))
    assert seconds > ApiSettings(_env_file=None).drain_seconds


@pytest.mark.parametrize("name", ["migrate", "documents", "worker"])
def test_commands_are_modules_of_ours(name: str) -> None:
    """What a service starts exists: `python -m` a folder of ours with a __main__.py."""
    python, flag, module, *_ = SERVICES[name]["command"]
    assert (python, flag) == ("python", "-m")
    assert (ROOT / module / "__main__.py").is_file()


def test_langfuse_stores_are_cut_off() -> None:
    """Langfuse's stores sit in a network without a way out; only its page is on the loopback."""
    assert read()["networks"]["langfuse"]["internal"] is True
    for name, service in SERVICES.items():
        if name.startswith("langfuse-") and name != "langfuse-web":
            assert service["networks"] == ["langfuse"]
            assert "ports" not in service


def test_langfuse_is_new_enough_for_its_sdk() -> None:
    """The locked SDK 5 needs a server of 4.59 or newer, web and worker alike."""
    for name, image in (("langfuse-web", "langfuse"), ("langfuse-worker", "langfuse-worker")):
        repository, _, tag = SERVICES[name]["image"].rpartition(":")
        assert repository == f"langfuse/{image}"
        assert tuple(map(int, tag.split("."))) >= (4, 59, 0)


def test_no_service_reports_usage_to_its_maker() -> None:
    """TGI's usage statistics and Langfuse's telemetry are switched off."""
    (file,) = SERVICES["tgi"]["env_file"]
    assert "USAGE_STATS=off" in (ROOT / file).read_text(encoding="utf-8").splitlines()
    for name in ("langfuse-web", "langfuse-worker"):
        assert SERVICES[name]["environment"]["TELEMETRY_ENABLED"] == "false"

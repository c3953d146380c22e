from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from core.errors import SettingsInvalid
from core.settings import Settings, read
from tests.project import setting_groups, setting_variables


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of ours in the environment, and no `.env` in the working folder."""
    for _, group in setting_groups():
        for variable, _, _ in setting_variables(group):
            monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)


def test_everything_has_a_default() -> None:
    """Without any variable the settings are complete: the laptop needs none."""
    settings = read()
    assert settings.database.url is None
    assert settings.model.url is None
    assert settings.langfuse.public_key is None
    assert settings.api.host == "127.0.0.1"


def test_every_setting_has_a_sentence() -> None:
    """Each setting is described in a sentence."""
    for _, group in setting_groups():
        for variable, description, _ in setting_variables(group):
            assert description.endswith("."), variable


def test_variables_of_two_groups_do_not_clash() -> None:
    """Each variable belongs to one setting."""
    names = [
        variable for _, group in setting_groups() for variable, _, _ in setting_variables(group)
    ]
    assert len(set(names)) == len(names)


def test_the_environment_beats_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """`.env` sets what the environment does not; an empty variable is no value."""
    Path(".env").write_text("API_PORT=9000\nMODEL_NAME=from-file\nAPI_HOST=\n")
    monkeypatch.setenv("API_PORT", "9001")
    monkeypatch.setenv("MODEL_NAME", "")
    settings = read()
    assert settings.api.port == 9001
    assert settings.model.name == "from-file"
    assert settings.api.host == "127.0.0.1"


def test_a_wrong_value_is_named_without_being_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the variable and repeats no value: it may be a secret."""
    monkeypatch.setenv("API_PORT", "s3cr3t")
    with pytest.raises(SettingsInvalid) as caught:
        read()
    assert caught.value.message.startswith("API_PORT: ")
    assert "s3cr3t" not in caught.value.message


def test_secrets_do_not_print(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and URLs with passwords do not appear when settings are printed."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://parley_app:s3cr3t@db/parley")
    monkeypatch.setenv("MODEL_API_KEY", "s3cr3t")
    monkeypatch.setenv("LANGFUSE_SECRET_KEY", "s3cr3t")
    settings = read()
    assert "s3cr3t" not in repr(settings)
    assert "s3cr3t" not in settings.model_dump_json()
    assert isinstance(settings.langfuse.secret_key, SecretStr)


def test_settings_do_not_change() -> None:
    """Settings are frozen, groups included."""
    settings = read()
    with pytest.raises(ValidationError):
        settings.api = settings.api  # type: ignore[misc]
    with pytest.raises(ValidationError):
        settings.api.port = 1


def test_importing_reads_nothing() -> None:
    """Importing the settings looks at no variable: a wrong one fails only where they are read."""
    done = subprocess.run(
        [sys.executable, "-c", "import core.settings; print('imported')"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
        env={"API_PORT": "wrong"},
    )
    assert done.stdout == "imported\n"


def test_groups_are_the_fields() -> None:
    """Every field of Settings is a group with a prefix of its own."""
    prefixes = [group.model_config.get("env_prefix") for _, group in setting_groups()]
    assert len(prefixes) == len(Settings.model_fields)
    assert len(set(prefixes)) == len(prefixes)
    assert all(prefixes)

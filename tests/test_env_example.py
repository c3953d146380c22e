"""`.env.example` lists what can be set: every setting, and what compose.yaml asks for besides."""

from __future__ import annotations

import inspect
import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.project import ROOT, all_variables, setting_groups, setting_variables

EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
SETTINGS_PART, COMPOSE_PART = EXAMPLE.split("\n# Docker Compose only.", 1)


def lines() -> Iterator[str]:
    """Yield the settings part of `.env.example` as it has to be, after its heading."""
    for name, group in setting_groups():
        yield ""
        yield f"# {name}: {inspect.getdoc(group)}"
        for variable, description, default in setting_variables(group):
            yield f"# {description}"
            yield f"#{variable}={'' if default is None else default}"


def test_every_setting_stands_in_the_example_with_its_sentence_and_default() -> None:
    """The example equals the settings: nothing is missing, stale or undescribed."""
    expected = "\n".join(lines()) + "\n"
    heading, found = SETTINGS_PART.split("\n\n", 1)
    assert heading.startswith("#")
    assert f"\n{found}" == expected, f"the settings part has to read:\n{expected}"


def test_no_setting_is_switched_on_by_copying_the_example() -> None:
    """A copied example changes nothing, so it does not freeze the defaults of an old release."""
    assert re.findall(r"^[A-Z].*", SETTINGS_PART, flags=re.MULTILINE) == []


def test_the_compose_part_names_what_compose_asks_for_and_nothing_else() -> None:
    """Every variable that only compose.yaml reads is in the example, and none more."""
    compose = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    asked = set(re.findall(r"(?<!\$)\$\{([A-Z0-9_]+)", compose)) - all_variables()
    named = set(re.findall(r"^#?([A-Z0-9_]+)=", COMPOSE_PART, flags=re.MULTILINE))
    assert named == asked


def test_passwords_are_made_fresh_and_only_for_their_owner(tmp_path: Path) -> None:
    """`make env` fills each password with 32 random bytes and writes a file nobody else reads."""
    checkout = copy_of_checkout(tmp_path)
    subprocess.run(["sh", "deploy/env.sh"], cwd=checkout, check=True, capture_output=True)
    written = checkout / ".env"
    secrets = dict(
        line.split("=", 1)
        for line in written.read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    )
    assert set(secrets) == set(re.findall(r"^([A-Z0-9_]+)=", COMPOSE_PART, flags=re.MULTILINE))
    assert all(re.fullmatch("[0-9a-f]{64}", secret) for secret in secrets.values())
    assert len(set(secrets.values())) == len(secrets)
    assert stat.S_IMODE(written.stat().st_mode) == 0o600


def test_passwords_in_use_are_never_overwritten(tmp_path: Path) -> None:
    """`make env` refuses when there is a .env: database volumes keep the old passwords."""
    checkout = copy_of_checkout(tmp_path)
    (checkout / ".env").write_text("PARLEY_APP_PASSWORD=kept\n", encoding="utf-8")
    result = subprocess.run(
        ["sh", "deploy/env.sh"], cwd=checkout, check=False, capture_output=True, text=True
    )
    assert result.returncode == 1
    assert "exists already" in result.stderr
    assert (checkout / ".env").read_text(encoding="utf-8") == "PARLEY_APP_PASSWORD=kept\n"


def copy_of_checkout(tmp_path: Path) -> Path:
    """Return a folder (with a space in its name) that holds what `deploy/env.sh` needs."""
    checkout = tmp_path / "a checkout"
    (checkout / "deploy").mkdir(parents=True)
    (checkout / ".env.example").write_text(EXAMPLE, encoding="utf-8")
    script = (ROOT / "deploy" / "env.sh").read_text(encoding="utf-8")
    (checkout / "deploy" / "env.sh").write_text(script, encoding="utf-8")
    return checkout

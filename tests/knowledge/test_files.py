"""Which files a path means: none twice, none hidden, circles end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from knowledge.files import find


def put(folder: Path, *names: str) -> None:
    """Make files with a letter in each."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")


def found(*paths: Path) -> list[str]:
    """Return the files that paths mean, as shown."""
    return [file.shown for file in find(paths).files]


def test_a_folder_means_everything_below_it_in_order(tmp_path: Path) -> None:
    """Files come sorted, a folder's own before those of its folders."""
    put(tmp_path, "b.md", "a/z.md", "a/b/c.md", "c.md")
    assert found(tmp_path) == [
        str(tmp_path / name) for name in ("b.md", "c.md", "a/z.md", "a/b/c.md")
    ]


def test_hidden_names_and_version_control_are_skipped(tmp_path: Path) -> None:
    """What people do not see in a folder is not read."""
    put(tmp_path, ".git/a.md", ".b.md", "CVS/c.md", "node_modules/d.md", "e.md")
    assert found(tmp_path) == [str(tmp_path / "e.md")]


def test_a_hidden_file_is_read_when_it_is_named(tmp_path: Path) -> None:
    """Whoever names a file means it."""
    put(tmp_path, ".notes.md", "picture.png")
    assert len(found(tmp_path / ".notes.md", tmp_path / "picture.png")) == 2


def test_pictures_in_a_folder_are_no_failures(tmp_path: Path) -> None:
    """They are counted, and every other kind of file is tried."""
    put(tmp_path, "a.png", "b.PNG", "style.css", "c.pptx")
    scan = find([tmp_path])
    assert [file.path.name for file in scan.files] == ["c.pptx"]
    assert scan.skipped == 3


def test_each_file_is_read_once(tmp_path: Path) -> None:
    """Paths may overlap."""
    put(tmp_path, "a/b.md")
    assert found(tmp_path / "a" / "b.md", tmp_path / "a", tmp_path) == [str(tmp_path / "a/b.md")]


def test_linked_folders_are_followed_once_and_circles_end(tmp_path: Path) -> None:
    """A link out of the folder adds what is there; a link back adds nothing."""
    outside = tmp_path / "outside"
    inside = tmp_path / "inside"
    put(outside, "o.md")
    put(inside, "i.md", "deep/d.md")
    (inside / "a").symlink_to(inside)
    (inside / "deep" / "up").symlink_to("..")
    (inside / "b").symlink_to(outside)
    (outside / "back").symlink_to(inside)
    names = [Path(name).relative_to(inside).as_posix() for name in found(inside)]
    assert names == ["i.md", "deep/d.md", "b/o.md"]


def test_links_that_lead_nowhere_are_left_for_the_reader(tmp_path: Path) -> None:
    """A broken link and a link to itself are files that fail, each with its sentence."""
    (tmp_path / "broken.md").symlink_to("nowhere")
    (tmp_path / "loop.md").symlink_to("loop.md")
    assert [Path(name).name for name in found(tmp_path)] == ["broken.md", "loop.md"]


def test_a_path_that_does_not_exist_is_a_failure(tmp_path: Path) -> None:
    """It is named, and what else was given goes on."""
    put(tmp_path, "a.md")
    scan = find([tmp_path / "missing", tmp_path])
    assert [str(failure) for failure in scan.failures] == [
        f"{tmp_path / 'missing'}: not_found: There is no such file or folder."
    ]
    assert len(scan.files) == 1


def test_a_uri_does_not_depend_on_how_a_path_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative, absolute and roundabout paths mean the same document."""
    put(tmp_path, "a b/ü#.md")
    monkeypatch.chdir(tmp_path)
    paths = [Path("a b"), tmp_path / "a b", Path("x/../a b"), Path("a b/ü#.md")]
    uris = {file.uri for path in paths for file in find([path]).files}
    assert uris == {f"{tmp_path.as_uri()}/a%20b/%C3%BC%23.md"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every folder")
def test_a_folder_that_cannot_be_listed_is_a_failure(tmp_path: Path) -> None:
    """Its documents are kept: nobody can tell that they are gone."""
    put(tmp_path, "locked/a.md", "b.md")
    (tmp_path / "locked").chmod(0)
    scan = find([tmp_path])
    (tmp_path / "locked").chmod(0o700)
    assert [file.path.name for file in scan.files] == ["b.md"]
    assert "cannot be listed" in str(scan.failures[0])
    assert scan.unseen == [f"{(tmp_path / 'locked').as_uri()}/"]

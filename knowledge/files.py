"""Which files a list of paths means, and the uri each of them is known by."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import DocumentError, DocumentUnreadable

SKIPPED_FOLDERS = frozenset({"CVS", "_darcs", "__pycache__", "node_modules"})
# Beside documents in most folders, and nobody expects them to be read. A file named outright is
# always tried, and every other kind in a folder that cannot be read is reported.
NO_DOCUMENTS = frozenset(
    [
        *(".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".ico", ".bmp", ".tif", ".tiff"),
        *(".mp3", ".mp4", ".wav", ".ogg", ".webm", ".mov", ".woff", ".woff2", ".ttf", ".otf"),
        *(".css", ".js", ".mjs", ".map", ".pyc", ".so", ".o"),
    ]
)


@dataclass(frozen=True, slots=True)
class Failure:
    """One document that could not be read."""

    path: str  # as shown; with `:LINE` for a line of JSON Lines
    error: DocumentError
    missing: bool = False  # a path that somebody named does not exist

    @property
    def code(self) -> str:
        """The stable code of the error."""
        return "not_found" if self.missing else self.error.code

    def __str__(self) -> str:
        return f"{self.path}: {self.code}: {self.error.message}"


@dataclass(frozen=True, slots=True)
class File:
    """A file to read."""

    path: Path  # absolute
    uri: str
    shown: str  # the path as the user wrote it, continued
    bytes: int


@dataclass(slots=True)
class Scan:
    """What a list of paths means."""

    files: list[File] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)  # uris below these belong to what was given
    unseen: list[str] = field(default_factory=list)  # prefixes of folders that cannot be listed
    skipped: int = 0  # pictures and the like


def absolute(path: Path) -> Path:
    """Return the path from the root, its symbolic links kept.

    A document's uri is made of it: the same however the path was written, and the same tomorrow
    when a link such as `current` points elsewhere.
    """
    return Path(os.path.abspath(path))  # noqa: PTH100  # resolve() would follow the links


def below(uri: str) -> str:
    """Return what the uris of everything in a folder begin with."""
    return uri.rstrip("/") + "/"


def lines_of(uri: str) -> str:
    """Return what the uris of the lines of a JSON Lines file begin with."""
    return uri + "#"


def file_of(uri: str) -> str:
    """Return the uri of the file that a document, or a line of JSON Lines, was read from."""
    return uri.partition("#")[0]


def find(paths: Iterable[Path]) -> Scan:
    """List the files that `paths` mean, sorted, each once.

    In folders hidden names, version control and caches are skipped. A linked folder is followed
    unless it was visited already, so circles end and nothing is read twice.
    """
    scan = Scan()
    seen: set[str] = set()
    visited: set[tuple[int, int]] = set()
    for given in paths:
        path = absolute(given)
        uri = path.as_uri()
        if not os.path.lexists(path):
            error = DocumentUnreadable("There is no such file or folder.")
            scan.failures.append(Failure(str(given), error, missing=True))
        elif path.is_dir():
            scan.prefixes.append(below(uri))
            _walk(scan, path, str(given), seen, visited)
        else:
            scan.prefixes.append(uri)
            _add(scan, path, str(given), seen)
    return scan


def _walk(
    scan: Scan, root: Path, shown: str, seen: set[str], visited: set[tuple[int, int]]
) -> None:
    """Add the files of a folder; real folders come before linked ones, and so win."""
    waiting, linked = [(root, shown)], list[tuple[Path, str]]()
    while waiting or linked:
        folder, shown = waiting.pop() if waiting else linked.pop(0)
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in visited:
                continue
            visited.add((status.st_dev, status.st_ino))
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            found = DocumentUnreadable(f"The folder cannot be listed: {error.strerror}.")
            scan.failures.append(Failure(shown, found))
            scan.unseen.append(below(folder.as_uri()))
            continue
        folders: list[tuple[Path, str]] = []
        for entry in entries:
            name, path = str(Path(shown, entry.name)), folder / entry.name
            if entry.name.startswith(".") or entry.name in SKIPPED_FOLDERS:
                continue
            if _is_folder(path):
                (linked if entry.is_symlink() else folders).append((path, name))
            elif path.suffix.lower() in NO_DOCUMENTS:
                scan.skipped += 1
            else:
                _add(scan, path, name, seen)
        waiting.extend(reversed(folders))


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a link to itself
        return False


def _add(scan: Scan, path: Path, shown: str, seen: set[str]) -> None:
    uri = path.as_uri()
    if uri in seen:
        return
    seen.add(uri)
    try:
        size = path.stat().st_size
    except OSError:
        size = 0  # the loader will say what is wrong
    scan.files.append(File(path, uri, _printable(shown), size))


def _printable(path: str) -> str:
    """Return a path that can be printed: file names need not be text."""
    return os.fsencode(path).decode("utf-8", "replace")

"""What a file is: by its first bytes where they tell, by its suffix where they do not."""

from __future__ import annotations

import re
from pathlib import Path

from core.errors import DocumentUnreadable, DocumentUnsupported
from knowledge.load import archive

# By suffix to a module here with `load(path, data)`; files without a suffix are tried as text.
LOADERS = {
    **dict.fromkeys(["", ".txt", ".text", ".log", ".rst", ".adoc"], "text"),
    **dict.fromkeys([".md", ".markdown", ".mdx"], "markdown"),
    **dict.fromkeys([".html", ".htm", ".xhtml"], "html"),
    ".pdf": "pdf",
    ".docx": "docx",
    ".pptx": "slides",
    **dict.fromkeys([".xlsx", ".xlsm"], "sheets"),
    ".eml": "mail",
    **dict.fromkeys([".csv", ".tsv"], "table"),
    ".json": "records",
    ".ipynb": "notebook",
}
# Files of many documents: these are read by `load_each(path, limit_bytes)`.
MANY = {**dict.fromkeys([".jsonl", ".ndjson"], "records"), ".mbox": "mailbox"}
# Programs export tables and letters as HTML under the names of Office.
OFFICE_OF_OLD = frozenset({".doc", ".xls", ".ppt", ".dot", ".rtf"})

PACKED = {  # the main part of an Office file, to its loader
    "word/document.xml": "docx",
    "ppt/presentation.xml": "slides",
    "xl/workbook.xml": "sheets",
}
PACKED_UNREAD = {
    "xl/workbook.bin": "It is a binary Excel file; save it as .xlsx.",
    "content.xml": "It is an OpenDocument file; save it as .docx, .xlsx or .pptx.",
    "META-INF/container.xml": "It is an e-book; save it as .html.",
}
SIGNATURES = {
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"II*\0": "a picture",
    b"MM\0*": "a picture",
    b"RIFF": "a picture or a recording",
    b"ID3": "a recording",
    b"OggS": "a recording",
    b"\x1f\x8b": "a compressed file; unpack it first",
    b"BZh": "a compressed file; unpack it first",
    b"7z\xbc\xaf": "an archive; unpack it first",
    b"\xfd7zXZ": "a compressed file; unpack it first",
    b"\x28\xb5\x2f\xfd": "a compressed file; unpack it first",
    b"Rar!": "an archive; unpack it first",
    b"\x7fELF": "a program",
    b"SQLite format 3": "a database",
    b"{\\rtf": "an RTF file; save it as .docx",
    b"%!PS": "PostScript; make a PDF of it",
}
HTML = re.compile(rb"<(?:!doctype\s+html|html)\b", re.IGNORECASE)
PROLOGUE = ((b"<?", b"?>"), (b"<!--", b"-->"))  # what may stand before
MAIL = re.compile(
    rb"(?:(?:Return-Path|Received|Delivered-To|From|To|Date|Subject|Message-ID|MIME-Version"
    rb"|X-[\w-]{1,60}|DKIM-Signature)[ \t]*:[^\r\n]*\r?\n(?:[ \t]+[^\r\n]*\r?\n)*){3}",
    re.IGNORECASE,
)
HEAD_BYTES = 8192


def kind(path: Path, data: bytes) -> str:
    """Return the name of the module that reads this file.

    data: all of the file. What it is decides, and its name where it may be anything.
    Raises DocumentUnsupported for kinds we do not read, with what to do where that is known;
    DocumentUnreadable for those under a name that promises something else;
    DocumentEncrypted, DocumentTooLarge for Office files.
    """
    suffix = path.suffix.lower()
    head = data[:HEAD_BYTES].removeprefix(b"\xef\xbb\xbf")
    if head.lstrip().startswith(b"%PDF-"):
        return "pdf"
    archive.check_ole(data)
    if data.startswith(archive.MAGIC):
        return _packed(suffix, data)
    for signature, what in SIGNATURES.items():
        if head.startswith(signature):
            raise _refused(suffix, what)
    if suffix in {"", *OFFICE_OF_OLD} or LOADERS.get(suffix) in {"text", "table", "records"}:
        if _is_html(head):
            return "html"
        if suffix in {"", ".txt"} and MAIL.match(head):
            return "mail"
    if suffix not in LOADERS:
        raise DocumentUnsupported(unsupported(suffix))
    return LOADERS[suffix]


def is_box(head: bytes) -> bool:
    """True for the beginning of a mailbox, which many programs save without a suffix."""
    first, _, rest = head.partition(b"\n")
    return first.startswith(b"From ") and MAIL.match(rest) is not None


def unsupported(suffix: str) -> str:
    """Return the sentence about a suffix that nothing here reads."""
    readable = ", ".join(sorted(filter(None, {*LOADERS, *MANY})))
    return f"Files ending in {suffix} are not read; these are: {readable}."


def _is_html(head: bytes) -> bool:
    rest = head.lstrip()
    for start, end in PROLOGUE * 3:
        if rest.startswith(start):
            rest = rest.partition(end)[2].lstrip()
    return HTML.match(rest) is not None


def _packed(suffix: str, data: bytes) -> str:
    inside = archive.members(data)
    for main, loader in PACKED.items():
        if main in inside:
            return loader
    for main, sentence in PACKED_UNREAD.items():
        if main in inside:
            raise DocumentUnsupported(sentence)
    raise _refused(suffix, "an archive; unpack it first")


def _refused(suffix: str, what: str) -> DocumentUnreadable | DocumentUnsupported:
    if suffix in LOADERS and suffix:
        return DocumentUnreadable(f"It is called {suffix}, but is {what}.")
    return DocumentUnsupported(f"It is {what}.")

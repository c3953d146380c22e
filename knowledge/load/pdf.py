"""PDF: the text layer of each page, by langchain-community's parser over pypdf."""

from __future__ import annotations

import io
import re
import warnings
from pathlib import Path

from core.errors import DocumentEmpty, DocumentEncrypted, DocumentUnreadable
from core.text import scrub
from knowledge.load.document import Document, Part, has_text, name

HEADER_BYTES = 1024  # where readers look for the mark of a PDF
HYPHENATED = re.compile(r"(?<=[a-zà-öø-ÿ])-\n(?=[a-zà-öø-ÿ])")
KEPT = ("subject", "keywords", "creationdate", "moddate")


def load(path: Path, data: bytes) -> Document:
    """Return a part for each page with text.

    Raises DocumentEncrypted, DocumentUnreadable, or DocumentEmpty for scans without a text layer.
    """
    if b"%PDF-" not in data[:HEADER_BYTES]:
        raise DocumentUnreadable("It is not a PDF, though its name says so.")
    from langchain_core.documents.base import Blob
    from pypdf import PdfReader
    from pypdf.errors import DependencyError, FileNotDecryptedError, PyPdfError

    with warnings.catch_warnings():
        # The package announces its retirement at import; docs/decisions/0005 says what follows.
        warnings.simplefilter("ignore", DeprecationWarning)
        from langchain_community.document_loaders.parsers.pdf import PyPDFParser

    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise DocumentEncrypted
        language = name(reader.root_object.get("/Lang")) or None
        pages = list(PyPDFParser(mode="page").lazy_parse(Blob.from_data(data)))
    except (FileNotDecryptedError, DependencyError) as error:
        raise DocumentEncrypted from error  # DependencyError: a cipher that is not installed
    except (PyPdfError, ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise DocumentUnreadable(f"It is a damaged PDF: {error}") from error
    parts = []
    for page in pages:
        text = HYPHENATED.sub("", scrub(page.page_content))
        if has_text(text):
            parts.append(Part(text, page=page.metadata["page"] + 1))
    if not parts:
        raise DocumentEmpty("It holds no text; it may be a scan, which needs OCR first.")
    found = pages[0].metadata
    metadata = {key: name(found[key]) for key in KEPT if found.get(key)}
    return Document(
        title=name(found.get("title")) or name(path.stem),
        media_type="application/pdf",
        parts=tuple(parts),
        bytes=len(data),
        author=name(found.get("author")) or None,
        language=language,
        metadata={**metadata, "pages": len(pages)},
    )

"""What is true of every Office file before it is parsed: a ZIP archive, whole, open, no bomb."""

from __future__ import annotations

import io
import zipfile

from core.errors import (
    DocumentEncrypted,
    DocumentTooLarge,
    DocumentUnreadable,
    DocumentUnsupported,
)

MAGIC = b"PK\x03\x04"
MAX_UNPACKED_BYTES = 256 << 20  # pictures included; a bomb claims gigabytes
MAX_RATIO = 200  # unpacked to packed; sheets full of one value reach 100
RATIO_COUNTS_FROM_BYTES = 16 << 20  # below that a bomb does no harm
MAX_MEMBERS = 10_000
XML = (".xml", ".rels")
XML_HEAD_BYTES = 1024

OLE = bytes.fromhex("d0cf11e0a1b11ae1")  # what Office wrote until 2003, and writes around a cipher
OLE_STREAMS = {  # names inside the container, and what we call a file that has them
    "WordDocument": "It is a Word file from before 2007; save it as .docx.",
    "Workbook": "It is an Excel file from before 2007; save it as .xlsx.",
    "PowerPoint Document": "It is a PowerPoint file from before 2007; save it as .pptx.",
    "__properties_version1.0": "It is a message in Outlook's own format; save it as .eml.",
}
OLD = "It is an Office file from before 2007; save it as .docx, .xlsx or .pptx."


def members(data: bytes) -> set[str]:
    """Return the names inside, once it is certain that they can be unpacked within bounds.

    Raises DocumentEncrypted, DocumentTooLarge or DocumentUnreadable (cut off, forbidden XML).
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            _check_sizes(infos, len(data))
            if any(info.flag_bits & 1 for info in infos):
                raise DocumentEncrypted
            for info in infos:
                if info.filename.endswith(XML):
                    _check_xml(archive, info)
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, NotImplementedError) as error:
        raise DocumentUnreadable("It is damaged, or not all of it is there.") from error
    except zipfile.zlib.error as error:  # type: ignore[attr-defined]  # what it unpacks with
        raise DocumentUnreadable("It is damaged: its contents cannot be unpacked.") from error
    return {info.filename for info in infos}


def check_ole(data: bytes) -> None:
    """Refuse Office's old container by the name of what it holds; anything else passes.

    Raises DocumentEncrypted or DocumentUnsupported with what to do.
    """
    if not data.startswith(OLE):
        return
    if "EncryptedPackage".encode("utf-16-le") in data:
        raise DocumentEncrypted
    for stream, sentence in OLE_STREAMS.items():
        if stream.encode("utf-16-le") in data:
            raise DocumentUnsupported(sentence)
    raise DocumentUnsupported(OLD)


def _check_sizes(infos: list[zipfile.ZipInfo], packed: int) -> None:
    # zipfile never unpacks more of a member than the directory says, so the sum is the bound.
    unpacked = sum(info.file_size for info in infos)
    if len(infos) > MAX_MEMBERS or unpacked > MAX_UNPACKED_BYTES:
        raise DocumentTooLarge(f"It unpacks to more than {MAX_UNPACKED_BYTES >> 20} MB.")
    if unpacked > RATIO_COUNTS_FROM_BYTES and unpacked > MAX_RATIO * packed:
        raise DocumentTooLarge(f"It unpacks to {unpacked // max(packed, 1)} times its size.")


def _check_xml(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    """Refuse declarations of entities, which Office never writes and bombs are made of."""
    with archive.open(info) as member:
        head = member.read(XML_HEAD_BYTES)
    if b"<!DOCTYPE" in head or b"<!ENTITY" in head:
        raise DocumentUnreadable("Its XML declares entities, which an Office file never does.")

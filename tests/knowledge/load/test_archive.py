"""Office files are checked before they are unpacked: bombs, ciphers, old formats, damage."""

from __future__ import annotations

import io
import zipfile

import pytest

from core.errors import (
    DocumentEncrypted,
    DocumentTooLarge,
    DocumentUnreadable,
    DocumentUnsupported,
)
from knowledge.load.archive import (
    MAX_MEMBERS,
    MAX_RATIO,
    MAX_UNPACKED_BYTES,
    OLE,
    RATIO_COUNTS_FROM_BYTES,
    check_ole,
    members,
)


def packed(**files: bytes) -> bytes:
    """Return a ZIP archive; `a_xml` is called a.xml in it."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name.replace("_", "."), data)
    return target.getvalue()


def test_names_come_out() -> None:
    """A harmless archive says what is in it."""
    assert members(packed(a_xml=b"<a/>", b_png=b"x")) == {"a.xml", "b.png"}


def test_a_bomb_is_not_unpacked() -> None:
    """A file that would unpack to too much is refused by what its directory says."""
    with pytest.raises(DocumentTooLarge, match="256 MB"):
        members(packed(a_xml=bytes(MAX_UNPACKED_BYTES + 1)))


def test_a_smaller_bomb_is_known_by_its_ratio() -> None:
    """No Office file is packed so well."""
    data = packed(a_xml=bytes(RATIO_COUNTS_FROM_BYTES + 1))
    assert len(data) * MAX_RATIO < RATIO_COUNTS_FROM_BYTES
    with pytest.raises(DocumentTooLarge, match="times its size"):
        members(data)


def test_a_hundred_thousand_members_are_a_bomb() -> None:
    """Each member costs memory, also an empty one."""
    with pytest.raises(DocumentTooLarge):
        members(packed(**{str(index): b"" for index in range(MAX_MEMBERS + 1)}))


def test_entities_are_refused() -> None:
    """A billion laughs begin with a declaration that Office never writes."""
    with pytest.raises(DocumentUnreadable, match="entities"):
        members(packed(a_xml=b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'))


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.95])
def test_half_an_archive_is_damage(kept: float) -> None:
    """What was cut off is refused with a sentence."""
    data = packed(a_xml=b"<a/>" * 1000, b_xml=bytes(range(256)) * 10)
    with pytest.raises(DocumentUnreadable):
        members(data[: int(len(data) * kept)])


def test_damaged_contents_are_damage() -> None:
    """A directory may be whole while what it lists is not."""
    data = bytearray(packed(a_xml=bytes(range(256)) * 10))
    data[40:60] = b"\xff" * 20
    with pytest.raises(DocumentUnreadable):
        members(bytes(data))


def test_an_encrypted_document_says_so() -> None:
    """Office wraps an encrypted document into its old container."""
    with pytest.raises(DocumentEncrypted):
        check_ole(OLE + bytes(500) + "EncryptedPackage".encode("utf-16-le"))


@pytest.mark.parametrize(
    ("stream", "words"),
    [
        ("WordDocument", r"save it as \.docx"),
        ("Workbook", r"save it as \.xlsx"),
        ("PowerPoint Document", r"save it as \.pptx"),
        ("something else", r"save it as \.docx, \.xlsx or \.pptx"),
    ],
)
def test_the_old_formats_say_what_to_do(stream: str, words: str) -> None:
    """Files from before 2007 are named for what they are."""
    with pytest.raises(DocumentUnsupported, match=words):
        check_ole(OLE + bytes(500) + stream.encode("utf-16-le"))


def test_an_encrypted_member_says_so() -> None:
    """A ZIP archive with a password is encrypted, not damaged."""
    data = bytearray(packed(a_png=b"x"))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(DocumentEncrypted):
        members(bytes(data))

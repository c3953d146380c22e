"""E-mail: who, when, what, with its attachments, however broken its headers are."""

from __future__ import annotations

from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import pytest

from core.errors import DocumentError, DocumentTooLarge, DocumentUnreadable
from knowledge.load.document import Document
from knowledge.load.mail import load
from knowledge.load.mailbox import load_each

LIMIT = 1 << 20


def message(text: str = "Hello.") -> EmailMessage:
    """Return a message by Ada."""
    made = EmailMessage()
    made["Subject"] = "Grüße aus Köln"
    made["From"] = "Ada Lovelace <ada@example.org>"
    made["To"] = "alan@example.org"
    made["Date"] = "Mon, 04 Mar 2024 10:00:00 +0100"
    made.set_content(text)
    return made


def read(made: EmailMessage | bytes) -> Document:
    """Load it as news.eml."""
    return load(Path("news.eml"), made if isinstance(made, bytes) else made.as_bytes())


def box(folder: Path, *messages: bytes, limit: int = LIMIT) -> list[Document | DocumentError]:
    """Load messages from a mailbox."""
    path = folder / "all.mbox"
    start = b"From ada@example.org Mon Mar  4 10:00:00 2024\n"
    path.write_bytes(b"\n".join(start + data for data in messages))
    return [found for _, found in load_each(path, limit)]


def test_headers_say_what_it_is() -> None:
    """Subject, sender and date have their place; names can be searched for."""
    document = read(message())
    assert (document.title, document.author) == ("Grüße aus Köln", "Ada Lovelace")
    assert document.created == datetime(2024, 3, 4, 9, 0, tzinfo=UTC)
    assert document.text == (
        "From: Ada Lovelace <ada@example.org>\nTo: alan@example.org\n"
        "Date: Mon, 04 Mar 2024 10:00:00 +0100\n\nHello."
    )


def test_quoted_replies_are_kept() -> None:
    """What somebody answered to is part of the answer."""
    assert read(message("Yes.\n> Shall we?\n")).text.endswith("Yes.\n> Shall we?")


def test_plain_text_wins_over_html() -> None:
    """A message that says the same twice is read once."""
    made = message("Plain.")
    made.add_alternative("<p>Rich.</p>", subtype="html")
    assert "Plain." in read(made).text
    assert "Rich." not in read(made).text


def test_html_alone_is_read() -> None:
    """Its text and its tables, without hidden parts."""
    made = message()
    page = "<p>Rich.</p><p hidden>No.</p><table><tr><th>A<th>B<tr><td>1<td>2</table>"
    made.set_content(page, subtype="html")
    document = read(made)
    assert document.parts[0].text.endswith("Rich.")
    assert document.parts[1].text == "A: 1; B: 2"
    assert "No." not in document.text


def test_attachments_are_further_parts() -> None:
    """Each is read as the file it is, and named; what cannot be read is named with the reason."""
    made = message()
    made.add_attachment("# Guide\n## Use\nRun it.", filename="guide.md")
    made.add_attachment(b"MZ", maintype="application", subtype="x", filename="a.exe")
    made.add_attachment(b"\x89PNG", maintype="image", subtype="png", filename="logo.png")
    document = read(made)
    assert [(part.section, part.text) for part in document.parts[1:]] == [
        ("guide.md > Use", "Run it.")
    ]
    seen = document.metadata["attachments"]
    assert seen[0] == "guide.md"
    assert seen[1].startswith("a.exe: not read: ")
    assert len(seen) == 2


def test_messages_inside_messages_end_somewhere() -> None:
    """A forwarded message is read, the fifth inside each other is not."""
    inner = message("Deepest.")
    for depth in range(5):
        outer = message(f"Level {depth}.")
        outer.add_attachment(inner)
        inner = outer
    document = read(inner)
    assert "Level 4." in document.text
    assert "Level 1." in document.text
    assert "Deepest." not in document.text


@pytest.mark.parametrize(
    ("header", "title"),
    [
        (b"Subject: =?iso-8859-1?Q?Gr=FC=DFe?=", "Grüße"),
        (b"Subject: Gr\xc3\xbc\xc3\x9fe", "Grüße"),
        (b"Subject: =?no-such-thing?Q?Hi?=", None),
        (b"Subject: =?utf-8?B?broken", None),
    ],
)
def test_broken_headers_cost_nothing_else(header: bytes, title: str | None) -> None:
    """Bytes that no header may have are read, and the message always is."""
    document = read(header + b"\nFrom: ada@example.org (\nDate: yesterday\n\nHello.")
    assert document.text.endswith("Hello.")
    assert document.created is None
    if title is not None:
        assert document.title == title


def test_an_encoding_that_does_not_fit_is_ignored() -> None:
    """A body that declares the wrong encoding is read in the right one."""
    data = b"Subject: x\nContent-Type: text/plain; charset=utf-8\n\n" + "Größe über Füße".encode(
        "cp1252"
    )
    assert read(data).text == "Größe über Füße"


def test_no_headers_are_no_message() -> None:
    """Some other text is refused."""
    with pytest.raises(DocumentUnreadable):
        read(b"\nJust some text.")


def test_a_mailbox_is_a_document_a_message(tmp_path: Path) -> None:
    """Each is known by its own id, and a line that begins with From belongs to its message."""
    first, second = message("One.\n\n>From here on.\n"), message("Two.")
    first["Message-ID"] = "<1@example.org>"
    found = box(tmp_path, first.as_bytes(), second.as_bytes())
    assert [isinstance(one, Document) for one in found] == [True, True]
    one, two = (each for each in found if isinstance(each, Document))
    assert one.fragment == "1@example.org"
    assert one.text.endswith("One.\n\nFrom here on.")
    assert two.text.endswith("Two.")


def test_a_bad_message_costs_only_itself(tmp_path: Path) -> None:
    """One that is too large or there twice is named, and the others are read."""
    large, same = message("x " * 2000).as_bytes(), message("One.").as_bytes()
    found = box(tmp_path, large, same, same, message("Two.").as_bytes(), limit=1000)
    assert [type(one) for one in found] == [
        DocumentTooLarge,
        Document,
        DocumentUnreadable,
        Document,
    ]


def test_another_file_is_no_mailbox(tmp_path: Path) -> None:
    """It is refused as a whole."""
    path = tmp_path / "a.mbox"
    path.write_bytes(b"hello\n")
    with pytest.raises(DocumentUnreadable):
        list(load_each(path, LIMIT))

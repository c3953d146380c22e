from __future__ import annotations

import pytest

from safety.links import Links
from safety.verdict import Edit, apply

LINKS = Links(
    ["example.com", "*.cdn.test", "bücher.test"],
    ["See https://source.test/page?a=1 and https://source.test/a.png."],
)


def cleaned(text: str) -> str:
    """Return `text` without what the detector finds."""
    return apply(text, [Edit(hit.start, hit.end, hit.replacement) for hit in LINKS.find(text)])


@pytest.mark.parametrize(
    "text",
    [
        "See [docs](https://docs.example.com/a(b)c), please.",
        "https://EXAMPLE.com:8080/x",
        "https://a.cdn.test/x.png",
        "https://xn--bcher-kva.test/ and https://BÜCHER.test/",
        "![a](https://example.com/a.png)",
        "https://source.test/page?a=1.",
        "[a](https://source.test/page?a=1)",
        "[to a section](#sec), [to a file](../a/b.md#x), [mail](mailto:a@b.test)",
        "// a comment, a[1](2), f[x](y, z), 10:30, C:/Users/x, the data: 5",
        "postgres://localhost/db",
    ],
)
def test_what_is_listed_relative_or_repeated_stays(text: str) -> None:
    """Listed hosts, hosts below them, addresses from the sources, and what is no address."""
    assert cleaned(text) == text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("[x](https://evil.test/?d=1).", "[x] [link removed]."),
        ('![a b](https://evil.test/x.png "t")', "![a b] [image removed]"),
        ("![a](https://source.test/a.png)", "![a] [image removed]"),
        ("<img src='https://source.test/a.png'>", "<img src='[image removed]'>"),
        ('<img src="//evil.test/x.png">', '<img src="[image removed]">'),
        ("[r]: https://evil.test/x", "[r]: [link removed]"),
        ("<https://evil.test>", "<[link removed]>"),
        ("(https://evil.test/a_(b)), ok", "([link removed]), ok"),
        ("www.evil.test/x", "[link removed]"),
        ("https://source.test/page?a=2", "[link removed]"),
        ("javascript:alert(1)", "[link removed]"),
        ("[x](JaVaScRiPt:alert)", "[x] [link removed]"),
        ("[x](&#104;ttps://evil.test)", "[x] [link removed]"),
        ("data:text/html;base64,aaaa", "[link removed]"),
        ("mailto:a@b.test?body=secret", "[link removed]"),
    ],
)
def test_an_address_off_the_list_is_removed(text: str, left: str) -> None:
    """The words around it stay readable."""
    assert cleaned(text) == left


@pytest.mark.parametrize(
    "address",
    [
        "https://example.com@evil.test",
        "https://example.com.evil.test",
        "https://notexample.com",
        "https://cdn.test/",
        "https://еxample.com/",  # its first letter is Cyrillic
        "https:\\\\evil.test",
        "https:evil.test",
        "https://example.com\\@evil.test",
        "https://example.com%2eevil.test/",
        "ftp://example.com/x",
    ],
)
def test_look_alikes_of_listed_hosts_are_not_listed(address: str) -> None:
    """Users, suffixes, other letters and other slashes do not make a host a listed one."""
    assert cleaned(address) == "[link removed]"


def test_a_link_whose_beginning_is_out_of_sight_is_taken_for_a_picture() -> None:
    """A picture with a description too long to be held is not let through as a link."""
    assert cleaned("text](https://source.test/page?a=1)") == "text] [image removed]"

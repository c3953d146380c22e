"""Pages come from pinned public addresses, whole and small, or not at all."""

from __future__ import annotations

import asyncio
import datetime
import gzip
import itertools
import ssl
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from core.errors import RemoteUnavailable
from tests.tools.web.site import Answer, Site, page, redirect, site
from tools.tool import TryDifferently
from tools.web.addresses import Guard
from tools.web.client import Page, WebClient

HTML = frozenset({"text/html", "text/plain"})


async def get(
    answer: Answer, path: str = "/", *, seconds: float = 5.0, host: str = "page.example"
) -> tuple[Page, Site]:
    """Fetch one page of a site that says what it is told."""
    async with site(answer) as found, WebClient.open(guard=found.guard()) as client:
        url = f"http://{host}:{found.port}{path}"
        return await client.get(url, media_types=HTML, seconds=seconds), found


async def test_the_host_is_asked_for_by_name_and_nothing_else_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The connection goes to the pinned address; no cookie, credential or proxy takes part."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    answer = page(b"hello", "text/html; charset=UTF-8", "Set-Cookie: a=b")
    found, asked = await get(lambda path: answer, "/a?b=c#d")
    assert found == Page(f"http://page.example:{asked.port}/a?b=c", "text/html", "utf-8", b"hello")
    head = asked.requests[0].lower()
    assert head.startswith("get /a?b=c http/1.1\r\n")
    assert f"\r\nhost: page.example:{asked.port}\r\n" in head
    assert "cookie" not in head
    assert "authorization" not in head


async def test_cookies_are_not_kept() -> None:
    """The second page learns nothing of the first."""
    async with (
        site(lambda path: page(b"x", "text/html", "Set-Cookie: a=b")) as found,
        WebClient.open(guard=found.guard()) as client,
    ):
        for _ in range(2):
            await client.get(f"http://one.example:{found.port}/", media_types=HTML)
    assert found.connections == 2
    assert "cookie" not in found.requests[1].lower()


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://one.example/",
        "gopher://one.example/",
        "//one.example/",
        "one.example",
        "http://",
        "http:///path",
        "http://user:secret@one.example/",
        "http://one.example:22/",
        "http://one.example:99999999/",
        "http://[::1",
        "https://one.example/" + "a" * 3000,
        "http://2130706433/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://①②⑦.⓪.⓪.①/",
        "http://[::ffff:127.0.0.1]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://[2002:7f00:1::]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://localhost/",
    ],
)
async def test_row_20_urls_that_may_not_be_fetched(url: str) -> None:
    """Each ends in a sentence for the model, and no connection is opened."""

    class NoConnection(Guard):
        async def addresses(self, host: str, port: int) -> Sequence[str]:
            found = await super().addresses(host, port)
            raise AssertionError(f"would connect to {found}")

    async with WebClient.open(guard=NoConnection()) as client:
        with pytest.raises(TryDifferently) as refused:
            await client.get(url, media_types=HTML)
    assert "secret" not in str(refused.value)


async def test_redirects_are_followed_and_the_last_url_is_told() -> None:
    """Relative ones too; three are followed."""
    pages = {"/": redirect("/2"), "/2": redirect("3"), "/3": redirect("/4#x"), "/4": page(b"end")}
    found, asked = await get(pages.__getitem__)
    assert found.url == f"http://page.example:{asked.port}/4"
    assert asked.connections == 4


async def test_a_fourth_redirect_is_too_many() -> None:
    """Endless redirects end."""
    with pytest.raises(TryDifferently, match="more than 3 times"):
        await get(lambda path: redirect(path + "x"))


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1:6379/",
        "file:///etc/passwd",
        "http://user:pass@page.example/",
        "//10.0.0.1/",
    ],
)
async def test_row_20_a_redirect_may_not_lead_inside(target: str) -> None:
    """Each redirect is checked like a URL of its own."""
    async with site(lambda path: redirect(target)) as found:

        async def resolve(host: str, port: int) -> Sequence[str]:
            return ["127.0.0.1"] if host == "page.example" else [host]

        inside = Guard(resolve, lambda a: a == "127.0.0.1", frozenset({found.port, 80}))
        async with WebClient.open(guard=inside) as client:
            with pytest.raises(TryDifferently):
                await client.get(f"http://page.example:{found.port}/", media_types=HTML)
    assert found.connections == 1


async def test_row_20_a_name_that_changes_its_meaning_is_asked_for_once() -> None:
    """The address that was checked is the one that is connected to."""
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])

    async def resolve(host: str, port: int) -> Sequence[str]:
        return next(answers)

    async with site(lambda path: page(b"once")) as found:
        guard = Guard(resolve, lambda a: a == "127.0.0.1", frozenset({found.port}))
        async with WebClient.open(guard=guard) as client:
            url = f"http://rebinding.example:{found.port}/"
            assert (await client.get(url, media_types=HTML)).body == b"once"
            with pytest.raises(TryDifferently, match="not on the public internet"):
                await client.get(url, media_types=HTML)
    assert found.connections == 1


async def test_row_20_a_bomb_of_gzip_costs_no_more_than_its_cap() -> None:
    """64 MB of zeros in 64 kB are refused, and never are they in memory."""
    bomb = gzip.compress(bytes(64_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(TryDifferently, match="more than 2,000,000 bytes"):
            await get(lambda path: page(bomb, "text/html", "Content-Encoding: gzip"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16_000_000


async def test_gzip_is_unpacked() -> None:
    """Also where one file follows another."""
    packed = gzip.compress(b"one ", mtime=0) + gzip.compress(b"two", mtime=0)
    found, _ = await get(lambda path: page(packed, "text/html", "Content-Encoding: gzip"))
    assert found.body == b"one two"


@pytest.mark.parametrize(
    ("packed", "encoding"),
    [
        (b"not gzip", "gzip"),
        (gzip.compress(b"whole", mtime=0)[:-9], "gzip"),
        (gzip.compress(gzip.compress(b"twice", mtime=0), mtime=0), "gzip, gzip"),
        (b"x", "br"),
        (b"x", "zstd"),
    ],
)
async def test_other_packings_are_refused(packed: bytes, encoding: str) -> None:
    """What was not asked for, or is not what it says, reaches no decoder."""
    with pytest.raises(TryDifferently):
        await get(lambda path: page(packed, "text/html", f"Content-Encoding: {encoding}"))


async def test_row_20_an_endless_body_is_left_after_its_cap() -> None:
    """A body of 10 GB is not read: the connection is closed after two megabytes and some."""

    def endless(path: str) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 10000000000\r\n\r\n"
        yield from itertools.repeat(bytes(65_536), 10_000_000_000 // 65_536)

    async with site(endless) as found, WebClient.open(guard=found.guard()) as client:
        with pytest.raises(TryDifferently, match="more than"):
            await client.get(f"http://page.example:{found.port}/", media_types=HTML)
    assert found.sent_bytes < 20_000_000  # of which most is in the buffers of the system


async def test_a_server_that_hangs_is_given_up() -> None:
    """The time is for everything together."""

    async def hang(path: str) -> bytes:
        await asyncio.Event().wait()
        return b""

    with pytest.raises(RemoteUnavailable, match=r"more than 0\.2 s"):
        await get(hang, seconds=0.2)


async def test_nobody_listening_is_a_failure_of_the_other_side() -> None:
    """Each address is tried; then the error has a type of ours."""
    async with site(lambda path: b"") as found:
        pass
    guard = found.guard("127.0.0.1", "127.0.0.1")
    async with WebClient.open(guard=guard) as client:
        with pytest.raises(RemoteUnavailable, match="ConnectError"):
            await client.get(f"http://page.example:{found.port}/", media_types=HTML)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"hello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nContent-Type: text/html\r\n\r\nhalf",
        page(b"", status="500 Oh"),
        page(b"", status="429 Slow"),
        page(b"", status="302 Found"),
        redirect("http://[::1"),
    ],
)
async def test_answers_that_are_none_are_failures_of_the_other_side(answer: bytes) -> None:
    """Broken HTTP, half a body, a failing server and a redirect to nowhere are one kind."""
    with pytest.raises(RemoteUnavailable):
        await get(lambda path: answer)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (page(b"", status="404 Not Found"), "404"),
        (page(b"", status="204 No Content"), "204"),
        (page(b"x", "application/octet-stream"), "application/octet-stream"),
        (page(b"x", ""), "not said"),
    ],
)
async def test_what_cannot_be_read_is_told_to_the_model(answer: bytes, told: str) -> None:
    """The status, or the type that is not on the list."""
    with pytest.raises(TryDifferently, match=told):
        await get(lambda path: answer)


def certificate(folder: Path, name: str) -> Path:
    """Write a key and a certificate that a name signs for itself; return the file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return file


@pytest.mark.parametrize("host", ["page.example", "other.example"])
async def test_tls_is_for_the_name_and_not_for_the_address(tmp_path: Path, host: str) -> None:
    """The server hears the name, and its certificate has to be of that name."""
    file = certificate(tmp_path, "page.example")
    names: list[str | None] = []
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    server.sni_callback = lambda connection, name, context: names.append(name)
    trusting = ssl.create_default_context(cafile=str(file))
    async with (
        site(lambda path: page(b"safe"), server) as found,
        WebClient.open(guard=found.guard(), context=trusting) as client,
    ):
        url = f"https://{host}:{found.port}/"
        if host == "page.example":
            assert (await client.get(url, media_types=HTML)).body == b"safe"
        else:
            with pytest.raises(RemoteUnavailable, match="ConnectError"):
                await client.get(url, media_types=HTML)
    assert names == [host]

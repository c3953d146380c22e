"""The web is searched where the operator says, and nowhere without that."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.errors import SettingsInvalid
from tests.tools.web.site import Site, page, site
from tools.registry import Outcome, Registry
from tools.tool import Caller
from tools.web.search_web import MOST_RESULTS, search_web

ANN = Caller("default", "ann")


def result(number: int, **more: Any) -> dict[str, Any]:
    """Return one result as SearXNG writes it."""
    found = {"url": f"https://{number}.example/", "title": f"No {number}", "content": "Some\n text"}
    return found | {"engine": "x", "score": 1.0} | more


async def search(answer: bytes, query: str = "larks & owls") -> tuple[Outcome, Site]:
    """Call the tool against a server that gives one answer."""
    async with site(lambda path: answer) as found, search_web(found.url) as tool:
        assert tool is not None
        outcome = await Registry([tool]).call("search_web", {"query": query}, ANN, key="k")
        return outcome, found


def results(*found: Any) -> bytes:
    """Return an answer of the server."""
    return page(json.dumps({"query": "q", "results": found}).encode(), "application/json")


async def test_results_come_back_with_their_addresses() -> None:
    """The server on loopback is the operator's choice; the results count as strangers' text."""
    outcome, asked = await search(results(result(1), result(2, content=None, title=None)))
    assert asked.requests[0].startswith("GET /search?q=larks+%26+owls&format=json HTTP/1.1")
    assert outcome.text == (
        "1. No 1\nhttps://1.example/\nSome text\n\n2. (no title)\nhttps://2.example/"
    )
    assert outcome.sources == ("https://1.example/", "https://2.example/")


async def test_results_are_few_and_short_and_lead_to_the_web() -> None:
    """Long excerpts are cut, and addresses of other kinds are left out."""
    found = [
        result(0, url="javascript:alert(1)"),
        *(result(n, content="x" * 9999) for n in range(20)),
    ]
    outcome, _ = await search(results(*found))
    assert len(outcome.sources) == MOST_RESULTS
    assert "javascript" not in outcome.text
    assert len(outcome.text) < MOST_RESULTS * 600


async def test_nothing_found_is_said() -> None:
    """An empty list is an answer."""
    outcome, _ = await search(results())
    assert (outcome.status, outcome.text) == ("ok", "Nothing was found.")


@pytest.mark.parametrize(
    "answer",
    [
        page(b"Forbidden", "text/plain", status="403 Forbidden"),
        page(b"", "", "Location: http://169.254.169.254/", status="302 Found"),
        page(b"<html>", "text/html"),
        page(b'{"results": [{"title": "no url"}]}', "application/json"),
        page(b'"' + b"x" * 2_000_001 + b'"', "application/json"),
        b"nothing of HTTP",
    ],
)
async def test_a_server_that_gives_no_results_is_a_failure(answer: bytes) -> None:
    """Typed, so that the tool rests after some; redirects are not followed."""
    outcome, asked = await search(answer)
    assert (outcome.status, outcome.code) == ("failed", "remote_unavailable")
    assert not outcome.may_have_run
    assert asked.connections == 1


async def test_without_a_server_there_is_no_tool() -> None:
    """The setting is empty by default."""
    for url in (None, ""):
        async with search_web(url) as tool:
            assert tool is None


@pytest.mark.parametrize("url", ["localhost:8888", "ftp://one.example", "http://", "http://[::1"])
async def test_a_setting_that_is_no_url_is_refused(url: str) -> None:
    """At the start, naming the variable."""
    with pytest.raises(SettingsInvalid, match="TOOLS_SEARCH_URL"):
        async with search_web(url):
            pass


@pytest.mark.parametrize(
    ("url", "asked"),
    [("", "/search?"), ("/", "/search?"), ("/searx/", "/searx/search?"), ("/search", "/search?")],
)
async def test_the_server_may_live_below_a_path(url: str, asked: str) -> None:
    """Its `/search` is added where it is missing."""
    async with site(lambda path: results()) as found, search_web(found.url + url) as tool:
        assert tool is not None
        await Registry([tool]).call("search_web", {"query": "q"}, ANN, key="k")
    assert found.requests[0].split(" ")[1].startswith(asked)

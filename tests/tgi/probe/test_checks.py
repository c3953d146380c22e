"""Each check holds on a server that keeps its promise, and fails on one that breaks it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from embeddings.minilm import MiniLM
from tests.tgi.probe.compatible import called, compatible, good, said
from tests.tgi.scripted import ScriptedModel, serving
from tgi.client import Timeouts
from tgi.embedded.bounds import Limits
from tgi.embedded.extractive import ExtractiveModel
from tgi.embedded.server import create_app
from tgi.probe.checks import CHECKS, Outcome
from tgi.probe.detect import Found
from tgi.probe.report import probe

Reply = Callable[[dict[str, Any]], dict[str, Any]]
TIMEOUTS = Timeouts()
FIRST = good({"messages": [{"content": ""}]})["content"]


async def _outcomes(app: Any, *only: str, **more: Any) -> dict[str, Outcome]:
    skip = {check.name for check in CHECKS} - set(only) if only else set()
    async with serving(app) as url:
        seen = [one async for one in probe(url, timeouts=TIMEOUTS, skip=skip, **more)]
    return {one.name: one for one in seen if isinstance(one, Outcome)}


def _status(outcomes: dict[str, Outcome]) -> dict[str, str]:
    return {name: one.status for name, one in outcomes.items()}


async def test_a_good_server() -> None:
    """On a server as it should be every check holds; what cannot be asked there is skipped."""
    outcomes = await _outcomes(compatible())
    skipped = {"native", "adapter"}
    expected = {check.name: "skipped" if check.name in skipped else "holds" for check in CHECKS}
    assert _status(outcomes) == expected


async def test_the_embedded_server(embedder: MiniLM) -> None:
    """The extractive model keeps every promise, the one of /generate too."""
    outcomes = await _outcomes(create_app(ExtractiveModel(embedder)), load=20)
    assert {name for name, one in outcomes.items() if one.status != "holds"} == {"adapter"}


def _unless(what: Callable[[dict[str, Any]], object], otherwise: dict[str, Any]) -> Reply:
    """Return a reply that is good but for some requests."""
    return lambda asked: otherwise if what(asked) else good(asked)


def _always(_: dict[str, Any]) -> bool:
    return True


BROKEN = {"status": 500, "error": {"message": "out of memory"}}
BAD: list[tuple[str, Reply, str]] = [
    ("answer", _unless(_always, said("")), "no text"),
    ("answer", _unless(_always, said("x", finish_reason="tool_calls")), "ended with"),
    ("answer", _unless(_always, BROKEN), "model_unavailable: The model server answered 500"),
    ("streaming", _unless(_always, said("")), "no text"),
    ("usage", _unless(_always, said("x", usage=None)), "no usage"),
    ("limit", _unless(_always, said("x", finish_reason="stop")), "ended with"),
    (
        "limit",
        _unless(_always, said("x", usage={"prompt_tokens": 1, "completion_tokens": 3})),
        "longer",
    ),
    ("stop", _unless(_always, said(FIRST)), "goes on behind"),
    ("stop", _unless(lambda a: a.get("stop"), said("x", finish_reason="length")), "ended with"),
    ("tools", _unless(_always, said("It is sunny.")), "0 calls"),
    ("tools", _unless(_always, called("weather", '{"town": "Warsaw"}')), "the call is"),
    ("tools", _unless(lambda a: a.get("stream"), called("sun", "{}")), "the call is sun"),
    ("results", _unless(_always, called("weather", '{"city": "Warsaw"}')), "same call again"),
    ("results", _unless(_always, said("")), "says nothing"),
    ("structured", _unless(_always, said("It is sunny.")), "answer_misfit"),
    ("structured", _unless(_always, said('{"season": "July", "sunny": true}')), "season"),
    ("long_input", _unless(_always, said("x")), "it took a prompt of 400000 words"),
    ("long_input", _unless(_always, BROKEN), "model_unavailable"),
    ("overload", _unless(_always, BROKEN), "model_unavailable"),
    ("cancel", _unless(lambda a: not a.get("stream"), BROKEN), "model_unavailable"),
    ("version", lambda _: BROKEN, "model_unavailable"),
]


@pytest.mark.parametrize(("name", "reply", "saw"), BAD)
async def test_a_promise_that_is_broken(name: str, reply: Reply, saw: str) -> None:
    """The check fails, and says what was seen instead."""
    outcome = (await _outcomes(compatible(reply), name))[name]
    assert outcome.status == "fails"
    assert saw in outcome.saw


async def test_an_answer_too_short_to_stop_inside() -> None:
    """A check that cannot be made is skipped, and is neither kept nor broken."""
    outcome = (await _outcomes(compatible(_unless(_always, said("x"))), "stop"))["stop"]
    assert (outcome.status, outcome.saw) == ("skipped", "its answer is too short to stop inside")


async def test_overload_is_told() -> None:
    """Refusals of a full server are what should be, and are counted."""
    app = create_app(ScriptedModel(), limits=Limits(max_concurrent_requests=0))
    outcome = (await _outcomes(app, "overload", load=3))["overload"]
    assert (outcome.status, outcome.saw) == ("holds", "3 at once: 0 answered, 3 refused")


async def test_a_server_without_its_route() -> None:
    """A server that says it is TGI and has no /generate breaks that promise."""
    info = {"model_id": "m", "model_sha": "1", "max_total_tokens": 100}
    outcome = (await _outcomes(compatible(pages={"/info": info}), "native"))["native"]
    assert (outcome.status, "no /generate" in outcome.saw) == ("fails", True)


async def test_an_adapter_that_is_missing() -> None:
    """A named adapter that the server does not list fails; one that it lists holds."""
    outcome = (await _outcomes(compatible(), "adapter", adapter="tuned"))["adapter"]
    assert (outcome.status, outcome.saw.startswith("adapter_missing")) == ("fails", True)
    listed = {"/v1/models": {"data": [{"id": "m"}, {"id": "tuned"}]}}
    outcome = (await _outcomes(compatible(pages=listed), "adapter", adapter="tuned"))["adapter"]
    assert (outcome.status, outcome.saw) == ("holds", "tuned")


async def test_the_key_travels() -> None:
    """The key goes with every request."""
    keys: list[str | None] = []

    def models(request: Request) -> JSONResponse:
        keys.append(request.headers.get("authorization"))
        return JSONResponse({"data": [{"id": "m"}]})

    async with serving(Starlette(routes=[Route("/v1/models", models)])) as url:
        seeing = probe(url, timeouts=TIMEOUTS, api_key="secret")
        assert isinstance(await anext(seeing), Found)
        await seeing.aclose()
    assert keys == ["Bearer secret"]

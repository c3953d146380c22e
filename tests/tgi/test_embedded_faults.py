"""The embedded server fails and dawdles as it is told, over real HTTP."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from core.errors import SettingsInvalid
from tests.project import ROOT
from tests.tgi.bodies import CHAT, TOOL
from tests.tgi.scripted import ScriptedModel, serving
from tests.tgi.spec import events
from tgi.embedded.faults import KINDS, Faults, Timing, given
from tgi.embedded.server import create_app
from tgi.spawn import child

ROUTE = "/v1/chat/completions"
STREAM = CHAT | {"stream": True}
AGES = 3600.0  # no test lasts that long
HASTY = httpx.Timeout(30, read=0.05)


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[httpx.AsyncClient]:
    """Serve an app; gives a client of it."""
    async with serving(app) as url, httpx.AsyncClient(base_url=url) as client:
        yield client


def faulty(*options: str, **others: float) -> ASGIApp:
    """Return a server with these faults."""
    return create_app(ScriptedModel(), faults=given(options, **others))


async def said(client: httpx.AsyncClient, body: dict[str, Any] = STREAM, **how: Any) -> str:
    """Return what came of a stream before it broke off."""
    text = ""
    async with client.stream("POST", ROUTE, json=body, **how) as response:
        assert response.status_code == 200
        try:
            async for part in response.aiter_text():
                text += part
        except (httpx.RemoteProtocolError, httpx.ReadTimeout) as error:
            text += f"\n{type(error).__name__}"
    return text


async def test_drop() -> None:
    """The connection closes without a byte of an answer."""
    async with served(faulty("drop=every:2")) as client:
        assert (await client.post(ROUTE, json=CHAT)).status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post(ROUTE, json=CHAT)
        assert (await client.get("/health")).status_code == 200


async def test_a_server_that_drops_everything_is_not_healthy_either() -> None:
    """With drop=1 no route answers: it looks dead from outside."""
    async with served(faulty("drop=1")) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/health")


@pytest.mark.parametrize("body", [CHAT, STREAM])
@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        ("overload", 429, "overloaded"),
        ("fail", 424, "generation"),
        ("crash", 500, "incomplete_generation"),
    ],
)
async def test_statuses(fault: str, status: int, kind: str, body: dict[str, Any]) -> None:
    """The answer is the status with TGI's body, before a stream begins; the metrics count it."""
    async with served(faulty(f"{fault}=1")) as client:
        response = await client.post(ROUTE, json=body)
        metrics = (await client.get("/metrics")).text
    assert (response.status_code, response.json()["error_type"]) == (status, kind)
    counted = "overloaded" if status == 429 else "generation"
    assert f'tgi_request_failure{{err="{counted}"}} 1' in metrics


async def test_stall() -> None:
    """The head of a stream comes, and nothing behind it; a whole answer does not come at all."""
    async with served(faulty("stall=1", silence_seconds=AGES)) as client:
        assert await said(client, timeout=HASTY) == "\nReadTimeout"
        with pytest.raises(httpx.ReadTimeout):
            await client.post(ROUTE, json=CHAT, timeout=HASTY)


async def test_pause() -> None:
    """So many tokens come, then nothing."""
    async with served(faulty("pause=1", silence_seconds=AGES, after_tokens=2)) as client:
        text = await said(client, timeout=HASTY)
    assert text.count("data: ") == 2
    assert text.endswith("ReadTimeout")


async def test_silence_ends() -> None:
    """After a silence the answer goes on to its end."""
    async with served(faulty("stall=1", "pause=1", silence_seconds=0.001)) as client:
        assert events(await said(client))[-1] == "[DONE]"


@pytest.mark.parametrize(("after", "seen"), [(0, 0), (5, 5), (1000, 13)])
async def test_cut(after: int, seen: int) -> None:
    """The connection closes behind so many tokens, at the latest before [DONE]."""
    async with served(faulty("cut=1", after_tokens=after)) as client:
        text = await said(client)
    assert text.count("data: ") == seen
    assert "[DONE]" not in text
    assert text.endswith("RemoteProtocolError")


async def test_cut_of_a_whole_answer() -> None:
    """Half of it arrives."""
    async with served(faulty("cut=1")) as client:
        with pytest.raises(httpx.RemoteProtocolError, match=r"without sending complete"):
            await client.post(ROUTE, json=CHAT)


async def test_garble() -> None:
    """One frame is no JSON, those around it are; a whole answer is none."""
    async with served(faulty("garble=1", after_tokens=1)) as client:
        lines = [line for line in (await said(client)).split("\n\n") if line]
        whole = await client.post(ROUTE, json=CHAT)
    assert lines[1].startswith("data: <")
    assert [line[6] for line in lines[2:-1]] == ["{"] * 11
    with pytest.raises(ValueError):
        whole.json()


@pytest.mark.parametrize("streamed", [True, False])
async def test_unknown_tool(streamed: bool) -> None:
    """The tool that is called was not offered; the rest of the call stays as it was."""
    async with served(faulty("unknown_tool=1")) as client:
        calls = await called(client, streamed)
    names = [call["function"]["name"] for call in calls]
    assert names[0] == "no_such_tool"
    assert set(names[1:]) <= {None}


@pytest.mark.parametrize("streamed", [True, False])
async def test_repeated_ids(streamed: bool) -> None:
    """Two calls, the same to the letter, come under one id."""
    async with served(faulty("repeat_call=1")) as client:
        first, second, *_ = await called(client, streamed)
    assert first["id"] == second["id"]
    assert first["function"] == second["function"]
    assert (first.get("index"), second.get("index")) == ((0, 1) if streamed else (None, None))


async def called(client: httpx.AsyncClient, streamed: bool) -> list[dict[str, Any]]:
    """Return the calls of a chat that has to call a tool, or their parts."""
    answer = await client.post(ROUTE, json=CHAT | TOOL | {"stream": streamed})
    frames = events(answer.text)[:-1] if streamed else [answer.json()]
    choices = [frame["choices"][0] for frame in frames]
    said = [choice["delta" if streamed else "message"] for choice in choices]
    return [call for part in said for call in part["tool_calls"]]


async def test_a_refusal_is_left_as_it_is() -> None:
    """An answer that is an error already is not spoiled."""
    async with served(faulty("garble=1", "unknown_tool=1")) as client:
        response = await client.post(ROUTE, json=CHAT | {"max_tokens": 0})
    assert (response.status_code, response.json()["error_type"]) == (422, "validation")


async def test_faults_strike_the_other_routes_too() -> None:
    """A token stream is cut as a chat is."""
    async with served(faulty("cut=1", after_tokens=2)) as client:
        body = {"inputs": "a b"}
        async with client.stream("POST", "/generate_stream", json=body) as response:
            with pytest.raises(httpx.RemoteProtocolError):
                await response.aread()


def test_the_same_seed_strikes_the_same_requests() -> None:
    """Each fault has lots of its own: with another one beside it, it strikes where it did."""
    one = given(["cut=0.3"], seed=7)
    struck = [n for n in range(1, 1001) if one.at(n)]
    assert struck == [
        n for n in range(1, 1001) if "cut" in given(["cut=0.3", "fail=0.5"], seed=7).at(n)
    ]
    assert struck != [n for n in range(1, 1001) if given(["cut=0.3"], seed=8).at(n)]
    assert 250 < len(struck) < 350
    assert [n for n in range(1, 11) if given(["cut=every:3"]).at(n)] == [3, 6, 9]
    assert given([f"{kind}=1" for kind in KINDS]).at(1) == frozenset(KINDS)


@pytest.mark.parametrize(
    "option", ["cut", "cut=2", "cut=-1", "cut=nan", "cut=every:0", "cut=often"]
)
def test_wrong_options_are_refused(option: str) -> None:
    """The sentence says what is wanted instead."""
    with pytest.raises(SettingsInvalid, match="cut needs a share between 0 and 1"):
        given([option])
    with pytest.raises(SettingsInvalid, match="explode is no fault; there are drop, overload"):
        given(["explode=1"])


async def test_tokens_take_their_time() -> None:
    """At a slow pace a stream has not begun where a fast one is over; whole answers wait too."""
    slow, fast = (Timing(tokens_per_second=pace) for pace in (1 / AGES, 1e6))
    async with served(create_app(ScriptedModel(), timing=slow)) as client:
        assert await said(client, timeout=HASTY) == "\nReadTimeout"
        with pytest.raises(httpx.ReadTimeout):
            await client.post(ROUTE, json=CHAT, timeout=HASTY)
    async with served(create_app(ScriptedModel(), timing=fast)) as client:
        assert events(await said(client))[-1] == "[DONE]"
        assert (await client.post(ROUTE, json=CHAT)).status_code == 200


async def test_a_prompt_takes_its_time() -> None:
    """Before the first token there is a wait that grows with the prompt."""
    timing = Timing(prefill_ms=AGES * 1e6)
    async with served(create_app(ScriptedModel(), timing=timing)) as client:
        assert await said(client, timeout=HASTY) == "\nReadTimeout"


async def test_control() -> None:
    """What PUT /faults says holds from the next request on; what it leaves out is as by default."""
    async with served(create_app(ScriptedModel(), control=True)) as client:
        assert (await client.post(ROUTE, json=CHAT)).status_code == 200
        told = {"faults": {"fail": 1}, "timing": {"batch": 3}}
        shown = (await client.put("/faults", json=told)).json()
        assert (shown["faults"]["fail"], shown["timing"]["batch"]) == (1, 3)
        assert (await client.post(ROUTE, json=CHAT)).status_code == 424
        shown = (await client.put("/faults", json={"faults": {"crash": "every:2"}})).json()
        assert shown == (await client.get("/faults")).json()
        assert shown["timing"] == Timing().model_dump()
        assert shown["faults"] == Faults(crash="every:2").model_dump()
        statuses = [(await client.post(ROUTE, json=CHAT)).status_code for _ in range(4)]
        assert statuses == [200, 500, 200, 500]


@pytest.mark.parametrize(
    "told",
    [
        {"faults": {"explode": 1}},
        {"faults": {"cut": 1.5}},
        {"faults": {"cut": "every:0"}},
        {"timing": {"batch": 0}},
        {"fault": {}},
        [],
    ],
)
async def test_control_refuses_what_it_does_not_know(told: Any) -> None:
    """A slip is 422 and changes nothing."""
    async with served(create_app(ScriptedModel(), control=True)) as client:
        before = (await client.get("/faults")).json()
        assert (await client.put("/faults", json=told)).status_code == 422
        assert (await client.post("/faults", json={})).status_code == 405
        assert (await client.get("/faults")).json() == before


async def test_control_has_to_be_asked_for() -> None:
    """Without it there is no such route, with faults or without."""
    for app in (create_app(ScriptedModel()), faulty("cut=1")):
        async with served(app) as client:
            assert (await client.get("/faults")).status_code == 404


async def test_control_is_for_this_machine() -> None:
    """A client from elsewhere may not even look."""
    app = create_app(ScriptedModel(), control=True)

    async def elsewhere(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "client": ("192.0.2.1", 4711)}, receive, send)

    async with served(elsewhere) as client:
        assert (await client.put("/faults", json={})).status_code == 403


async def test_a_batch_has_a_queue() -> None:
    """Beyond the batch requests wait, beyond the queue they are refused; the metrics show both."""
    model = ScriptedModel()
    model.gate.clear()
    async with served(create_app(model, timing=Timing(batch=1, queue=1))) as client:
        first = asyncio.create_task(client.post(ROUTE, json=CHAT))
        await until(client, "tgi_batch_current_size 1")
        second = asyncio.create_task(client.post(ROUTE, json=CHAT))
        await until(client, "tgi_queue_size 1")
        assert len(model.asked) == 1
        assert (await client.post(ROUTE, json=CHAT)).status_code == 429
        model.gate.set()
        assert [(await one).status_code for one in (first, second)] == [200, 200]
        metrics = await until(client, "tgi_queue_size 0")
    assert "tgi_batch_current_size 0" in metrics
    assert "tgi_request_queue_duration_count 2" in metrics


async def test_who_leaves_the_queue_is_not_waited_for() -> None:
    """A stream that is given up while it waits frees its place, and the next one is let in."""
    model = ScriptedModel()
    model.gate.clear()
    async with served(create_app(model, timing=Timing(batch=1))) as client:
        first = asyncio.create_task(client.post(ROUTE, json=CHAT))
        await until(client, "tgi_batch_current_size 1")
        async with client.stream("POST", ROUTE, json=STREAM):
            await until(client, "tgi_queue_size 1")
        await until(client, "tgi_queue_size 0")
        third = asyncio.create_task(client.post(ROUTE, json=CHAT))
        await until(client, "tgi_queue_size 1")
        model.gate.set()
        assert [(await one).status_code for one in (first, third)] == [200, 200]
    assert len(model.asked) == 2


async def test_a_larger_batch_lets_those_in_that_wait() -> None:
    """Control can change the batch under way."""
    model = ScriptedModel()
    model.gate.clear()
    app = create_app(model, timing=Timing(batch=1), control=True)
    async with served(app) as client:
        both = [asyncio.create_task(client.post(ROUTE, json=CHAT)) for _ in range(2)]
        await until(client, "tgi_queue_size 1")
        await client.put("/faults", json={"timing": {"batch": 2}})
        await until(client, "tgi_batch_current_size 2")
        model.gate.set()
        assert [(await one).status_code for one in both] == [200, 200]


async def until(client: httpx.AsyncClient, line: str) -> str:
    """Return the metrics as soon as they have this line."""
    while f"\n{line}\n" not in (text := (await client.get("/metrics")).text):
        pass
    return text


def test_the_guide_lists_every_kind() -> None:
    """docs/guides/models.md has a row for each fault there is, in the same order."""
    guide = (ROOT / "docs/guides/models.md").read_text(encoding="utf-8")
    table = guide.split("| kind | what goes wrong |")[1].split("\n\n")[0]
    assert tuple(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == KINDS


async def test_the_command_takes_it_all() -> None:
    """`python -m tgi serve` with options of its own, and changed while it runs."""
    options = "--port 0 --with-parent --faults --fault garble=every:2 --batch 2 --prefill-ms 1"
    command = [sys.executable, "-m", "tgi", "serve", *options.split()]
    async with child(command) as (url, _), httpx.AsyncClient(base_url=url, timeout=60) as client:
        told = (await client.get("/faults")).json()
        assert told["faults"]["garble"] == "every:2"
        assert (told["timing"]["batch"], told["timing"]["prefill_ms"]) == (2, 1.0)
        assert (await client.post(ROUTE, json=CHAT)).json()
        await client.put("/faults", json={"faults": {"overload": 1}})
        assert (await client.post(ROUTE, json=CHAT)).status_code == 429


async def test_the_command_refuses_a_wrong_fault() -> None:
    """One sentence and exit status 1."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tgi", "serve", "--port", "0", "--fault", "explode=1"),
        stderr=asyncio.subprocess.PIPE,
    )
    _, told = await process.communicate()
    assert process.returncode == 1
    assert told.decode().startswith("explode is no fault; there are drop, ")

"""Who is asking is found out before anything is served."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import openai
import pytest
import yaml
from psycopg import sql

from api.keys import KEY_BYTES, Entry, Keys, digest, entry_of, new_key
from core.errors import NotAuthenticated, SettingsInvalid
from core.turn import Passage, TurnState
from db import runs, threads
from db.pool import Database
from evals.bench import edges
from tests.api.inside import URL, client_of, runner_of
from tests.graphs.turns import services
from tests.project import ROOT

ANN, RITA, OLGA = "pk-ann", "pk-rita", "pk-olga"
PATHS = ("/v1/threads", "/v1/models", "/v1/documents", "/v1/approvals", "/v1/nothing", "/v1")


def entry(key: str, user: str, **more: Any) -> dict[str, Any]:
    """Return an entry of the file."""
    return {"sha256": digest(key), "user": user, **more}


def bearer(key: str) -> dict[str, str]:
    """Return the header that a client sends."""
    return {"Authorization": f"Bearer {key}"}


def text_of(path: Path) -> str:
    """Return what is in a file."""
    return path.read_text(encoding="utf-8")


def put(path: Path, text: str | None) -> None:
    """Write a file as an operator's editor does; None takes it away."""
    if text is None:
        path.unlink()
    else:
        path.write_text(text, encoding="utf-8")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with three keys."""
    path = tmp_path / "keys.yaml"
    entries = [
        entry(ANN, "ann", groups=["harbour", "office"]),
        entry(RITA, "rita", roles=["user", "reviewer"]),
        entry(OLGA, "olga", tenant="other", roles=["reviewer"]),
    ]
    path.write_text(yaml.safe_dump(entries), encoding="utf-8")
    return path


@pytest.fixture
async def client(database: Database, file: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application with these keys."""
    async with client_of(runner_of(services(database)), Keys(file)) as opened:
        yield opened


@pytest.fixture
async def trusting(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application without keys."""
    async with client_of(runner_of(services(database))) as opened:
        yield opened


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer  "},
        bearer("pk-nobody"),
        bearer(ANN.upper()),
        bearer(digest(ANN)),
        bearer("x" * 5000),
        bearer("ä"),
        {"Authorization": "Basic cGstYW5u"},
        {"Authorization": ANN},
        {"Parley-User": "ann"},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", PATHS)
async def test_without_a_key_nothing_is_served(
    client: httpx.AsyncClient, headers: dict[str, str], path: str
) -> None:
    """Everything under /v1, whether there is such a route or not; the answer says how to ask."""
    raw = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
    answer = await client.get(path, headers=raw)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "not_authenticated"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["x-request-id"]


async def test_the_body_is_not_looked_at_first(client: httpx.AsyncClient) -> None:
    """A stranger is not told what is wrong with a request, nor is one carried out."""
    for content in (b"{", b"{}"):
        answer = await client.post("/v1/threads", content=content)
        assert answer.status_code == 401
    refused = await client.post("/v1/chat/completions", json={})
    assert refused.json()["error"]["type"] == "invalid_request_error"
    assert refused.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["/", "/health", "/metrics", "/docs", "/openapi.json"])
async def test_probes_and_documentation_stay_open(client: httpx.AsyncClient, path: str) -> None:
    """They tell nothing of anybody's."""
    assert (await client.get(path)).status_code == 200


async def test_each_key_is_somebody(client: httpx.AsyncClient) -> None:
    """A conversation is its user's: another user and another tenant do not find it."""
    made = await client.post("/v1/threads", json={}, headers=bearer(ANN))
    path = made.headers["Location"]
    assert (await client.get(path, headers={"authorization": f"bearer {ANN}"})).status_code == 200
    for key in (RITA, OLGA):
        assert (await client.get(path, headers=bearer(key))).status_code == 404
        assert (await client.get("/v1/threads", headers=bearer(key))).json()["threads"] == []


async def test_a_key_says_who_you_are(client: httpx.AsyncClient) -> None:
    """The header that tells people apart without keys cannot say otherwise."""
    headers = {**bearer(ANN), "Parley-User": "rita"}
    assert (await client.get("/v1/threads", headers=headers)).status_code == 403
    headers["Parley-User"] = "ann"
    assert (await client.get("/v1/threads", headers=headers)).status_code == 200


async def test_a_key_is_revoked_without_a_restart(client: httpx.AsyncClient, file: Path) -> None:
    """The file is read again when it changes: taken out, a key opens nothing; added, it does."""
    assert (await client.get("/v1/threads", headers=bearer(ANN))).status_code == 200
    put(file, yaml.safe_dump([entry("pk-new", "nina")]))
    assert (await client.get("/v1/threads", headers=bearer(ANN))).status_code == 401
    assert (await client.get("/v1/threads", headers=bearer("pk-new"))).status_code == 200


async def test_a_damaged_file_lets_nobody_in(client: httpx.AsyncClient, file: Path) -> None:
    """Half written or gone it is a 503 that names no path; mended, the keys work again."""
    kept = text_of(file)
    put(file, kept[:70])
    damaged = await client.get("/v1/threads", headers=bearer(ANN))
    assert (damaged.status_code, damaged.json()["error"]["code"]) == (503, "settings_invalid")
    assert str(file) not in damaged.text
    put(file, None)
    assert (await client.get("/v1/threads", headers=bearer(ANN))).status_code == 503
    put(file, kept)
    assert (await client.get("/v1/threads", headers=bearer(ANN))).status_code == 200


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "Input should be a valid tuple"),
        ("keys: []", "Input should be a valid tuple"),
        ("- {user: ann}", "0.sha256"),
        ("- {sha256: abc, user: ann}", "0.sha256"),
        (f"- {{sha256: '{digest(ANN).upper()}', user: ann}}", "0.sha256"),
        (f"- {{sha256: '{digest(ANN)}'}}", "0.user"),
        (f"- {{sha256: '{digest(ANN)}', user: 'a b'}}", "0.user"),
        (f"- {{sha256: '{digest(ANN)}', user: ''}}", "0.user"),
        (f"- {{sha256: '{digest(ANN)}', user: {'a' * 65}}}", "0.user"),
        (f"- {{sha256: '{digest(ANN)}', user: ann, tenant: ''}}", "0.tenant"),
        (f"- {{sha256: '{digest(ANN)}', user: ann, roles: [god]}}", "0.roles.0"),
        (f"- {{sha256: '{digest(ANN)}', user: ann, role: user}}", "0.role"),
        (f"- {{sha256: '{digest(ANN)}', user: ann, groups: ['']}}", "0.groups.0"),
        (f"- &a {{sha256: '{digest(ANN)}', user: ann}}\n- *a", "listed twice"),
        ("- [", "neither YAML nor JSON"),
        ("\x00", "neither YAML nor JSON"),
    ],
)
def test_a_bad_file_is_told_with_its_place(tmp_path: Path, text: str, place: str) -> None:
    """Before anything is served, with the name of the variable."""
    path = tmp_path / "keys.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsInvalid) as told:
        Keys(path)
    assert place in told.value.message
    assert "API_KEYS_FILE" in told.value.message


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """It is not there, or is a folder."""
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(SettingsInvalid, match="cannot be read"):
            Keys(path)


async def test_a_file_without_keys_lets_nobody_in(tmp_path: Path) -> None:
    """An empty list is one."""
    path = tmp_path / "keys.yaml"
    path.write_text("[]", encoding="utf-8")
    with pytest.raises(NotAuthenticated):
        await Keys(path).holder("")


async def test_without_keys_everybody_is_local(trusting: httpx.AsyncClient) -> None:
    """Any key or none will do, and conversations are shared."""
    made = await trusting.post("/v1/threads", json={}, headers=bearer("anything"))
    assert (await trusting.get(made.headers["Location"])).status_code == 200
    assert (await trusting.get("/v1/approvals")).status_code == 200


async def test_without_keys_a_header_tells_people_apart(trusting: httpx.AsyncClient) -> None:
    """One person can try both parts: another name has other conversations."""
    made = await trusting.post("/v1/threads", json={}, headers={"Parley-User": "ann"})
    path = made.headers["Location"]
    assert (await trusting.get(path)).status_code == 404
    assert (await trusting.get(path, headers={"Parley-User": "ann"})).status_code == 200


@pytest.mark.parametrize("name", ["", " ", "a b", "a" * 65, "ä", "a/b", "a\tb", "<a>"])
async def test_a_name_is_a_name(trusting: httpx.AsyncClient, name: str) -> None:
    """What could be taken for something else in a log or on a screen is refused."""
    answer = await trusting.get("/v1/threads", headers={b"Parley-User": name.encode("latin-1")})
    assert answer.status_code == 422
    assert answer.json()["error"]["param"] == "Parley-User"


async def test_the_openai_sdk_sends_the_key(
    database: Database, file: Path, client: httpx.AsyncClient
) -> None:
    """Its api_key is the key; a wrong one is its AuthenticationError."""
    async with runner_of(services(database)) as runner, client_of(runner, Keys(file)) as http:
        sdk = openai.AsyncOpenAI(base_url=f"{URL}/v1", api_key=ANN, http_client=http)
        said: Any = {"model": "parley", "messages": [{"role": "user", "content": "Why?"}]}
        answer = await sdk.chat.completions.create(**said)
        assert answer.choices[0].message.content
        wrong = sdk.with_options(api_key="pk-nobody", max_retries=0)
        with pytest.raises(openai.AuthenticationError):
            await wrong.chat.completions.create(**said)
        [thread] = (await client.get("/v1/threads", headers=bearer(ANN))).json()["threads"]
        assert thread["messages"] == 2


class Spy:
    """A search that remembers for whom it was."""

    def __init__(self) -> None:
        self.readers: list[Any] = []

    async def __call__(self, *arguments: Any, filter: Any, **more: Any) -> list[Passage]:
        """Return the scripted passages."""
        self.readers.append(filter.reader)
        return await edges.scripted_search(*arguments, filter=filter, **more)


async def test_groups_and_roles_reach_the_run(database: Database, file: Path) -> None:
    """The search of a turn is for the user with the groups of the key."""
    spy: Any = Spy()
    made = replace(services(database), search=spy)
    async with runner_of(made) as runner, client_of(runner, Keys(file)) as http:
        thread = (await http.post("/v1/threads", json={}, headers=bearer(ANN))).json()
        path = f"/v1/threads/{thread['thread_id']}/runs?wait=true"
        answer = await http.post(path, json={"input": "Why?"}, headers=bearer(ANN))
        assert answer.status_code == 200, answer.text
    [reader] = spy.readers
    assert (reader.user_id, reader.groups) == ("ann", ("harbour", "office"))
    async with database.transaction("default") as conn:
        cursor = await conn.execute(sql.SQL("select input -> 'caller' from runs"))
        assert await cursor.fetchall() == [({"groups": ["harbour", "office"], "roles": ["user"]},)]


async def test_another_process_goes_on_for_the_same_user(database: Database) -> None:
    """A run whose process died is taken over with its user's groups and roles."""
    spy: Any = Spy()
    run_id, thread_id = uuid4(), uuid4()
    state = TurnState(text="Why?", instructions="", given_history=[], parameters={})
    async with database.transaction("default") as conn:
        await threads.create(conn, tenant_id="default", user_id="ann", thread_id=thread_id)
        start = runs.starting(
            tenant_id="default",
            user_id="ann",
            thread_id=thread_id,
            run_id=run_id,
            message_id=uuid4(),
            text="Why?",
            state=state,
            worker="dead",
            lease_seconds=-1,
            groups=("harbour",),
            roles=frozenset({"clerk"}),
        )
        await conn.execute(*start)
        work = await runs.load(conn, "default", run_id)
    assert work is not None
    assert (work.groups, work.roles) == (("harbour",), frozenset({"clerk"}))
    assert "caller" not in work.input
    async with runner_of(replace(services(database), search=spy)) as runner:
        tailed = runner.tail(tenant_id="default", thread_id=str(thread_id), run_id=str(run_id))
        assert [event.type async for event in tailed][-1] == "run.finished"
    assert [(one.user_id, one.groups) for one in spy.readers] == [("ann", ("harbour",))]


def test_a_new_key_is_long_and_its_entry_fits() -> None:
    """Nobody guesses it, and the entry holds its digest alone."""
    made = new_key()
    assert made.startswith("pk-")
    assert len(made) >= 3 + KEY_BYTES
    assert made != new_key()
    written = entry_of(made, tenant="default", user="ann", roles=["user"], groups=[])
    [found] = yaml.safe_load(written)
    assert Entry.model_validate(found).sha256 == digest(made)
    assert made not in written


def test_the_command_makes_a_key_that_works(tmp_path: Path) -> None:
    """Appended to a file, the entry is a file of keys, and the key itself is not in it."""
    made = command("--user", "ann", "--role", "reviewer", "--role", "user", "--tenant", "acme")
    assert made.returncode == 0, made.stderr
    path = tmp_path / "keys.yaml"
    path.write_text(made.stdout + command("--user", "bob").stdout, encoding="utf-8")
    key = made.stderr.split()[-1]
    assert key not in made.stdout
    Keys(path)
    [first, second] = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert (first["user"], first["tenant"], first["sha256"]) == ("ann", "acme", digest(key))
    assert second["roles"] == ["user"]


@pytest.mark.parametrize(
    "arguments", [("--user", "a b"), ("--user", "ann", "--role", "god"), ("--user", "")]
)
def test_the_command_refuses_what_the_file_would(arguments: tuple[str, ...]) -> None:
    """With a sentence."""
    made = command(*arguments)
    assert (made.returncode, made.stdout) == (1, "")
    assert "Traceback" not in made.stderr


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m api key`."""
    return subprocess.run(
        [sys.executable, "-m", "api", "key", *arguments],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )

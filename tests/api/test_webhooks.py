"""Notices arrive: signed, again until they are taken, also when the sender dies."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from psycopg.types.json import Jsonb
from pydantic import SecretStr

from api.webhooks import Retries, Sender, sending, sign
from core.errors import SettingsInvalid
from core.settings import WebhookSettings, read
from core.telemetry import NullTracer
from db.pool import Database
from evals.bench.edges import ScriptedModel
from graphs.runner import Runner
from nodes.context import Limits
from tests.api.hooks import Hook
from tests.api.served import Served, new_thread, serving
from tests.graphs.turns import (
    LETTER,
    QUICK,
    TENANT,
    GatedModel,
    begin,
    events,
    services,
    writing,
)
from tests.project import ROOT

SECRET = "a secret of some length"
AT_ONCE = Retries(first_seconds=0, attempts=3, margin_seconds=0)


def settings(url: str | None, *, timeout_seconds: float = 10.0) -> WebhookSettings:
    return WebhookSettings(url=url, secret=SecretStr(SECRET), timeout_seconds=timeout_seconds)


def sender(database: Database, client: httpx.AsyncClient, wanted: WebhookSettings) -> Sender:
    return Sender(database, client, wanted, AT_ONCE)


async def tell(database: Database, tenant: str = TENANT) -> str:
    """Put a notice into the table and return its id."""
    notice_id = str(uuid4())
    async with database.transaction(tenant) as conn:
        await conn.execute(
            "insert into notices (tenant_id, notice_id, kind, body) values (%s, %s, %s, %s)",
            [tenant, notice_id, "approval.requested", Jsonb({"tool": "refund_order"})],
        )
    return notice_id


async def table(database: Database) -> list[Any]:
    """Return attempts, whether delivered, whether given up, and why, of each notice."""
    async with database.transaction(TENANT) as conn:
        cursor = await conn.execute(
            "select attempts, delivered_at is not null, given_up_at is not null, error"
            " from notices order by created_at"
        )
        return await cursor.fetchall()


async def test_a_notice_is_signed_and_arrives_once(database: Database) -> None:
    """Its signature is that of Standard Webhooks over id, time and body."""
    first, second = await tell(database), await tell(database, "other")
    with Hook() as hook:
        async with httpx.AsyncClient() as client:
            assert await sender(database, client, settings(hook.url)).send_due() == 2
            assert await sender(database, client, settings(hook.url)).send_due() == 0
        told = {one.headers["webhook-id"]: one for one in hook.all()}
    assert set(told) == {first, second}
    notice = told[first]
    assert notice.json["data"] == {"tool": "refund_order"}
    assert {key: notice.json[key] for key in ("type", "id", "tenant")} == {
        "type": "approval.requested",
        "id": first,
        "tenant": TENANT,
    }
    signed = sign(SECRET, first, notice.headers["webhook-timestamp"], notice.body)
    assert notice.headers["webhook-signature"] == signed
    assert await table(database) == [(1, True, False, "")]


def test_the_signature_is_that_of_the_standard() -> None:
    """The example of its specification, whose keys are written in base64."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    found = sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("status", [500, 404, 302])
async def test_a_notice_is_sent_until_it_is_taken(database: Database, status: int) -> None:
    """Under the same id; a redirect is not followed; the answer's words are not kept."""
    notice_id = await tell(database)
    with Hook(status, status) as hook:
        async with httpx.AsyncClient() as client:
            sending_it = sender(database, client, settings(hook.url))
            assert await sending_it.send_due() == 1
            assert await table(database) == [(1, False, False, f"answered {status}")]
            assert await sending_it.send_due() == 1
            assert await sending_it.send_due() == 1
            assert await sending_it.send_due() == 0
        assert [one.headers["webhook-id"] for one in hook.all()] == [notice_id] * 3
    assert await table(database) == [(3, True, False, "")]


async def test_a_notice_that_nobody_takes_is_given_up(database: Database) -> None:
    """After the last attempt, with the reason."""
    await tell(database)
    async with httpx.AsyncClient() as client:
        sending_it = sender(database, client, settings("http://127.0.0.1:1/"))
        assert [await sending_it.send_due() for _ in range(4)] == [1, 1, 1, 0]
    assert await table(database) == [(3, False, True, "not reached: ConnectError")]


async def test_a_server_that_never_answers_holds_nobody_up(database: Database) -> None:
    """The others arrive; that attempt counts as failed."""
    await tell(database)
    await tell(database)
    with Hook(None) as hook:
        async with httpx.AsyncClient() as client:
            sending_it = sender(database, client, settings(hook.url, timeout_seconds=0.2))
            assert await sending_it.send_due() == 2
        found = sorted(await table(database))
    assert found == [(1, False, False, "no answer in 0.2 s"), (1, True, False, "")]


async def test_two_senders_send_a_notice_once(database: Database) -> None:
    """Whoever takes it first has it for a while."""
    for _ in range(20):
        await tell(database)
    with Hook() as hook:
        async with httpx.AsyncClient() as client:
            one, two = (Sender(database, client, settings(hook.url), Retries()) for _ in range(2))
            await asyncio.gather(*(each.send_due() for each in (one, two, one, two)))
        assert len({told.headers["webhook-id"] for told in hook.all()}) == 20
        assert len(hook.all()) == 20


async def test_kill_9_while_sending_sends_it_again(database: Database) -> None:
    """The process dies after the request and before its note: at least once, the same id."""
    notice_id = await tell(database)
    with Hook(None) as hook:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", SENDER, database.url, hook.url, SECRET),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        first = await asyncio.to_thread(hook.told.get)
        process.kill()
        await process.wait()
        assert await table(database) == [(1, False, False, "")]
        async with httpx.AsyncClient() as client:
            sending_it = sender(database, client, settings(hook.url))
            assert await sending_it.send_due() == 0  # the dead one's time is not over
            async with database.transaction(TENANT) as conn:
                await conn.execute("update notices set next_at = now()")  # now it is
            assert await sending_it.send_due() == 1
        second = await asyncio.to_thread(hook.told.get)
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == notice_id
    assert first.body == second.body
    assert await table(database) == [(2, True, False, "")]


SENDER = """
import asyncio, sys, httpx
from pydantic import SecretStr
from api.webhooks import Retries, Sender
from core.settings import WebhookSettings
from db.pool import Database

async def main(database_url, url, secret):
    settings = WebhookSettings(url=url, secret=SecretStr(secret), timeout_seconds=60)
    async with Database.open(database_url) as database, httpx.AsyncClient() as client:
        await Sender(database, client, settings, Retries(margin_seconds=0)).send_due()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_without_an_address_notices_are_forgotten(database: Database) -> None:
    """Nobody is to be told, and the table does not grow."""
    await tell(database)
    async with httpx.AsyncClient() as client:
        assert await sender(database, client, settings(None)).send_due() == 1
    assert await table(database) == []


async def test_old_notices_are_removed(database: Database) -> None:
    """Delivered or given up, a week later, when another one is over."""
    for column in ("delivered_at", "given_up_at"):
        await tell(database)
        async with database.transaction(TENANT) as conn:
            query = f"update notices set {column} = now() - interval '8 days' where attempts = 0"
            await conn.execute(query.encode())
    await tell(database)
    with Hook() as hook:
        async with httpx.AsyncClient() as client:
            await sender(database, client, settings(hook.url)).send_due()
    assert await table(database) == [(1, True, False, "")]


@pytest.mark.parametrize(
    ("model", "kinds"),
    [
        (ScriptedModel(), ["run.finished"]),
        (writing(), ["approval.requested", "run.waiting", "approval.decided", "run.cancelled"]),
    ],
    ids=["finished", "waiting"],
)
async def test_runs_tell_how_they_end(
    database: Database, model: ScriptedModel, kinds: list[str]
) -> None:
    """Where the request asked for it, as soon as it is true, by ids and without any text."""
    edges = services(database, model, [LETTER])
    with Hook() as hook:
        async with (
            Runner(edges, Limits(offer_always=True), QUICK, NullTracer()) as runner,
            sending(database, settings(hook.url)),
        ):
            run = await runner.start(
                tenant_id=TENANT, user_id="local", thread_id=None, text="Write!", webhook=True
            )
            told = [await asyncio.to_thread(hook.told.get) for _ in kinds[:2]]
            if len(kinds) > 1:
                await runner.cancel(tenant_id=TENANT, thread_id=run.thread_id, run_id=run.run_id)
                told += [await asyncio.to_thread(hook.told.get) for _ in kinds[2:]]
            await events(runner, run)
    assert sorted(one.json["type"] for one in told) == sorted(kinds)
    for one in told:
        assert one.json["data"]["run_id"] == run.run_id
        assert one.json["data"]["thread_id"] == run.thread_id


def test_a_server_tells_what_its_settings_ask_for(tmp_path: Path) -> None:
    """A run in the background, nobody listening: its end arrives, and the server ends well."""
    with Hook() as hook:
        wanted = {"WEBHOOK_URL": hook.url, "WEBHOOK_SECRET": SECRET}
        with serving(Served(tmp_path, settings=wanted)) as served:
            with httpx.Client(base_url=served.url, timeout=60) as client:
                path = f"/v1/threads/{new_thread(client)}/runs"
                run = client.post(path, json={"input": "Hello!", "webhook": True}).json()
                told = hook.told.get()
            assert served.stop() == 0
    assert told.json["type"] == "run.finished"
    assert told.json["data"]["run_id"] == run["run_id"]
    stamp, notice_id = told.headers["webhook-timestamp"], told.json["id"]
    assert told.headers["webhook-signature"] == sign(SECRET, notice_id, stamp, told.body)
    assert SECRET not in served.log


async def test_runs_tell_nothing_unasked(database: Database) -> None:
    """A request that does not ask for it leaves no notice of its run."""
    async with Runner(services(database), Limits(), QUICK, NullTracer()) as runner:
        await events(runner, await begin(runner))
    assert await table(database) == []


async def test_a_queued_run_that_is_cancelled_tells_it(database: Database) -> None:
    """Also what nobody has worked on has an end."""
    model = GatedModel()
    async with Runner(services(database, model), Limits(), QUICK, NullTracer()) as runner:
        first = await begin(runner)
        queued = await runner.start(
            tenant_id=TENANT, user_id="local", thread_id=first.thread_id, text="?", webhook=True
        )
        await runner.cancel(tenant_id=TENANT, thread_id=first.thread_id, run_id=queued.run_id)
    async with database.transaction(TENANT) as conn:
        cursor = await conn.execute("select kind, body ->> 'run_id' from notices")
        assert await cursor.fetchall() == [("run.cancelled", queued.run_id)]


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"WEBHOOK_URL": "ftp://a"}, "WEBHOOK_URL: .*http or https"),
        ({"WEBHOOK_URL": "http://a:x", "WEBHOOK_SECRET": SECRET}, "WEBHOOK_URL: "),
        ({"WEBHOOK_URL": "https://a"}, "WEBHOOK_SECRET: .*signed"),
        ({"WEBHOOK_SECRET": "short"}, "WEBHOOK_SECRET: .*16 characters"),
        ({"WEBHOOK_SECRET": "whsec_no base64 at all"}, "WEBHOOK_SECRET: "),
    ],
    ids=str,
)
def test_wrong_settings_are_named(
    variables: dict[str, str], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a sentence that does not repeat the secret."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsInvalid) as caught:
        read()
    assert re.search(sentence, caught.value.message)
    assert "base64 at all" not in caught.value.message


def test_attempts_go_on_for_about_a_day() -> None:
    """And never come closer together than half of what they should."""
    retries = Retries()
    total = sum(retries.wait(attempt) for attempt in range(1, retries.attempts))
    assert 12 * 3600 < total < 36 * 3600
    assert all(2.5 <= retries.wait(attempt) <= 6 * 3600 for attempt in range(1, 30))


def test_the_example_in_the_guide_verifies() -> None:
    """The snippet that readers copy accepts what we send, and nothing else."""
    guide = (ROOT / "docs/guides/api.md").read_text(encoding="utf-8")
    snippet = guide.split("## How do webhooks work?")[1].split("```python\n")[1].split("```")[0]
    names: dict[str, Any] = {}
    exec(snippet, names)
    key = "whsec_" + base64.b64encode(b"k" * 24).decode()
    for secret in (SECRET, key):
        stamp = str(int(names["time"].time()))
        headers = {
            "webhook-id": "1",
            "webhook-timestamp": stamp,
            "webhook-signature": sign(secret, "1", stamp, b"{}"),
        }
        assert names["verified"](secret, headers, b"{}")
        assert not names["verified"](secret, headers, b"{ }")
        assert not names["verified"]("another secret of ours", headers, b"{}")
        old = {**headers, "webhook-timestamp": "1614265330"}
        old["webhook-signature"] = sign(secret, "1", "1614265330", b"{}")
        assert not names["verified"](secret, old, b"{}")

"""Which tools there are depends on the services there are; a developer can try them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from click.testing import Result
from typer.testing import CliRunner

from db.embedded import EmbeddedPostgres
from db.migrate import migrate
from db.pool import Database
from tests.project import ROOT
from tools.__main__ import app
from tools.builtin import builtin

SHOP = {
    "look_up_order",
    "list_orders",
    "refund_order",
    "cancel_order",
    "change_address",
    "open_ticket",
}


def test_a_tool_is_there_when_its_service_is(database: Database) -> None:
    """With the database alone: arithmetic and the sample shop, which can be left out."""
    assert {tool.name for tool in builtin(database=database)} == {"calculate"} | SHOP
    assert [tool.name for tool in builtin(database=database, shop=False)] == ["calculate"]


def test_what_changes_something_says_so(database: Database) -> None:
    """Each action of the shop is keyed and can act in the caller's transaction."""
    acting = {tool.name: tool for tool in builtin(database=database) if tool.name in SHOP}
    effects = {name for name, tool in acting.items() if tool.declaration.effect != "none"}
    assert effects == SHOP - {"look_up_order", "list_orders"}
    assert {acting[name].declaration.idempotency for name in effects} == {"keyed"}
    assert all(acting[name].within for name in effects)


@pytest.fixture
async def environment(
    server: EmbeddedPostgres, admin_url: str, database_url: str, tmp_path: Path
) -> dict[str, str]:
    """What the command finds in its environment: a database of its own."""
    name = str(psycopg.conninfo.conninfo_to_dict(admin_url)["dbname"])
    reader_url = server.address("parley_reader", name)
    await migrate(admin_url, reader_url=reader_url)
    return {"DATABASE_URL": database_url, "DATABASE_READER_URL": reader_url}


@pytest.fixture
def command(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """Run the command in this process, in a folder without settings."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner(env=environment).invoke(app, arguments)


def test_what_an_operator_names_is_offered_too(
    command: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search server by its address, operations of HTTP services by a file; a bad file is told."""
    document = {
        "openapi": "3.1.0",
        "info": {"title": "Shop", "version": "1"},
        "servers": [{"url": "http://127.0.0.1:9"}],
        "paths": {"/orders": {"get": {"operationId": "listOrders", "responses": {}}}},
    }
    (tmp_path / "shop.json").write_text(json.dumps(document))
    file = tmp_path / "http.yaml"
    file.write_text(
        "services:\n  - name: outside\n    document: shop.json\n"
        "    operations:\n      listOrders: {effect: none, idempotency: pure}\n"
    )
    monkeypatch.setenv("TOOLS_SEARCH_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("TOOLS_HTTP_FILE", str(file))
    names = {line.split()[0] for line in command("list").output.splitlines()}
    assert {"search_web", "outside__listOrders"} <= names
    file.write_text("services: nothing")
    broken = command("list")
    assert broken.exit_code == 1
    assert "http.yaml" in str(broken.exception)


def test_a_developer_can_try_the_tools(command: Callable[..., Result]) -> None:
    """They are listed, and those without effect can be called."""
    assert command("sample").exit_code == 0
    listed = command("list")
    names = {line.split()[0] for line in listed.output.splitlines()}
    light = {"calculate", "run_python", "query_database", "fetch_page"}
    assert names == SHOP | light | {"search_knowledge"}
    question = json.dumps({"sql": "select count(*) from orders"})
    assert command("call", "query_database", question).output == "count\n10\n[1 row]\n"
    assert command("call", "run_python", '{"code": "6 * 7"}').output == "42\n"
    assert "Desk lamp" in command("call", "look_up_order", '{"order_id": "A-1001"}').output
    with_schema = json.loads(command("list", "--json").output)
    assert all(tool["schema"]["type"] == "object" for tool in with_schema)


def test_a_call_that_does_not_run_says_why(command: Callable[..., Result]) -> None:
    """Effects, unknown tools and wrong arguments end with status 1 and a sentence."""
    unknown = command("call", "nothing", "{}")
    assert unknown.exit_code == 1
    assert unknown.output.startswith("There is no tool 'nothing'")
    wrong = command("call", "calculate", "{")
    assert (wrong.exit_code, "not JSON" in wrong.output) == (1, True)


def test_what_has_an_effect_is_not_called(environment: dict[str, str], tmp_path: Path) -> None:
    """Not even by a developer: the real command says that it needs a conversation."""
    result = subprocess.run(
        [sys.executable, "-m", "tools", "call", "refund_order", "{}"],
        cwd=tmp_path,
        env={**os.environ, **environment, "PYTHONPATH": str(ROOT)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert "refund_order has an effect" in result.stderr

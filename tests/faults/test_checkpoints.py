"""A stored step of a run that somebody has tampered with: row 25."""

from __future__ import annotations

import json
from pathlib import Path

import ormsgpack
import psycopg
import pytest
from langgraph.checkpoint.serde import jsonplus

from core.telemetry import NullTracer
from db.pool import Database
from evals.asking import AskingModel
from graphs.runner import Runner
from nodes.context import Limits
from tests.graphs.acting import acting, decide, pending
from tests.graphs.test_actions import WRITE, World, until
from tests.graphs.turns import QUICK, begin, events

REWRITE = "update checkpoints.checkpoint_blobs set type = %s, blob = %s where type <> 'empty'"


def crafted(kind: str, command: str) -> tuple[str, bytes]:
    """Return a row that would run a command when it is loaded by the library's old defaults."""
    if kind == "json":
        called = {"lc": 2, "type": "constructor", "id": ["os", "system"], "args": [command]}
        return kind, json.dumps(called).encode()
    code = {
        "one argument": (jsonplus.EXT_CONSTRUCTOR_SINGLE_ARG, command),
        "positional": (jsonplus.EXT_CONSTRUCTOR_POS_ARGS, (command,)),
        "named": (jsonplus.EXT_CONSTRUCTOR_KW_ARGS, {"command": command}),
        "method": (jsonplus.EXT_METHOD_SINGLE_ARG, command),
    }
    if kind == "another shape":
        return "msgpack", ormsgpack.packb({"command": command})
    if kind == "pickle":
        return kind, b"cos\nsystem\n(V" + command.encode() + b"\ntR."
    number, argument = code[kind]
    named = ("os", "system", argument, *(("__call__",) if kind == "method" else ()))
    return "msgpack", ormsgpack.packb(ormsgpack.Ext(number, ormsgpack.packb(named)))


@pytest.mark.parametrize(
    "kind", ["one argument", "positional", "named", "method", "json", "pickle", "another shape"]
)
async def test_row_25_a_crafted_row(
    database: Database, admin_url: str, tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is not loaded, nothing it names is called, and the run fails with a code."""
    world, model = World(), AskingModel().plays([("save", {"word": "me"})], "Saved.")
    used = acting(database, model, [world.tool("save", WRITE)])
    async with Runner(used, Limits(), QUICK, NullTracer()) as runner:
        run = await begin(runner, "Save me")
        await until(runner, run, "run.waiting")
        proof = tmp_path / "executed"
        with psycopg.connect(admin_url, autocommit=True) as conn:
            conn.execute(REWRITE, crafted(kind, f"touch {proof}"))
        [approval] = await pending(database)
        await decide(used, approval.approval_id, "approve")
        log = await events(runner, run)
    assert log[-1].type == "run.failed"
    assert log[-1].data["error"]["code"] == "checkpoint_refused"
    assert "checkpoint" in caplog.text
    assert not proof.exists()
    assert world.done == []

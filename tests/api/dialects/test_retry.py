"""POST …/retry: a failed run asked again in its place."""

from __future__ import annotations

from core.errors import StreamCut
from db.pool import Database
from tests.api.inside import client_of, runner_of
from tests.graphs.turns import GatedModel, services


async def test_a_failed_run_is_tried_again(database: Database) -> None:
    """By whoever asked, once for each failure; its message moves over to the new run."""
    model = GatedModel()
    model.fail_with(StreamCut())
    async with runner_of(services(database, model)) as runner, client_of(runner) as client:
        thread = (await client.post("/v1/threads")).json()["thread_id"]
        path = f"/v1/threads/{thread}/runs"
        run = (await client.post(path, json={"input": "Why?"})).json()["run_id"]
        assert "event: run.failed" in (await client.get(f"{path}/{run}/events")).text
        stranger = await client.post(f"{path}/{run}/retry", headers={"Parley-User": "eve"})
        assert stranger.status_code == 404
        again = await client.post(f"{path}/{run}/retry")
        assert again.status_code == 202
        new = again.json()["run_id"]
        assert new != run
        assert again.headers["location"] == f"{path}/{new}/events"
        assert "event: run.failed" in (await client.get(again.headers["location"])).text
        said = (await client.get(f"/v1/threads/{thread}/messages")).json()["messages"]
        assert [(one["role"], one["content"], one["run_id"]) for one in said] == [
            ("user", "Why?", new)
        ]
        refused = await client.post(f"{path}/{run}/retry")
        assert refused.status_code == 409
        assert refused.json()["error"]["code"] == "retry_refused"
        unknown = await client.post(f"{path}/{thread}/retry")
        assert unknown.status_code == 404

"""The yardstick: a bare FastAPI + LangGraph app with the stock Postgres saver.

The same nine nodes in the same order with the same scripted edges, written the way the
tutorials do it: messages in the state, one saver for all, tokens through `stream_mode`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypedDict

import orjson
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from langchain_core.messages import AnyMessage, HumanMessage
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel

from core.turn import Passage
from evals.bench.edges import PASSAGES, ScriptedModel


class State(TypedDict, total=False):
    """What the stock app checkpoints: the whole conversation."""

    messages: Annotated[list[AnyMessage], add_messages]
    intent: str
    query: str
    passages: list[Passage]
    title: str


class Body(BaseModel):
    """One message."""

    input: str


def build(model: ScriptedModel) -> StateGraph[State, None, State, State]:
    """Return the graph."""

    async def screen(state: State) -> State:
        return {}

    async def recall(state: State) -> State:
        return {}

    async def classify(state: State) -> State:
        return {"intent": "knowledge_question", "query": str(state["messages"][-1].content)}

    async def retrieve(state: State) -> State:
        return {"passages": PASSAGES}

    async def generate(state: State) -> State:
        sources = "\n".join(passage["text"] for passage in state["passages"])
        answer = await model.ainvoke([("system", sources), *state["messages"][-20:]])
        return {"messages": [answer]}

    async def verify(state: State) -> State:
        return {}

    async def remember(state: State) -> State:
        return {"title": "title"}

    graph = StateGraph(State)
    before = START
    for node in (screen, recall, classify, retrieve, generate, verify, remember):
        graph.add_node(node.__name__, node)
        graph.add_edge(before, node.__name__)
        before = node.__name__
    graph.add_edge(before, END)
    return graph


def create_app(database_url: str, pool_size: int) -> FastAPI:
    """Return the app; its tables are made at start."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with AsyncConnectionPool(
            database_url,
            min_size=pool_size,
            max_size=pool_size,
            kwargs={"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row},
        ) as pool:
            saver = AsyncPostgresSaver(pool)  # type: ignore[arg-type]
            await saver.setup()
            yield {"graph": build(ScriptedModel()).compile(checkpointer=saver)}

    app = FastAPI(lifespan=lifespan)

    @app.post("/threads/{thread_id}/runs/stream")
    async def stream(thread_id: str, body: Body, request: Request) -> StreamingResponse:
        graph = request.state.graph

        async def frames() -> AsyncIterator[bytes]:
            config = {"configurable": {"thread_id": thread_id}}
            given = {"messages": [HumanMessage(body.input)]}
            async for message, _ in graph.astream(given, config, stream_mode="messages"):
                yield b"data: " + orjson.dumps({"text": message.content}) + b"\n\n"
            yield b"data: [DONE]\n\n"

        return StreamingResponse(frames(), media_type="text/event-stream")

    return app

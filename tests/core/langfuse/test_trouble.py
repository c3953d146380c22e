from __future__ import annotations

import asyncio
import logging
import socket
import subprocess
import sys
import threading

import pytest

from core.langfuse import tracer
from core.langfuse.client import LangfuseTracer
from core.turn import TurnState
from tests.core.langfuse.opened import opened, settings
from tests.core.langfuse.turns import PASSAGE, PROMPT, QUESTION, RUN_ID, SPANS, begin, whole
from tests.receiver import TRACES, Receiver


async def test_what_the_mask_takes_out_never_leaves() -> None:
    """The mask sees every text of a trace, also inside lists, and the names of users."""

    def mask(text: str) -> str:
        return text.replace("hunter2", "***")

    with Receiver() as receiver:
        async with opened(receiver.url, mask=mask) as made:
            trace = made.turn(
                run_id=RUN_ID,
                thread_id="hunter2",
                user_id="hunter2",
                tenant_id="hunter2",
                text="my password is hunter2",
                attempt=1,
            )
            for node in ("retrieve", "generate"):
                trace.node_started(node)
            passage = {**PASSAGE, "title": "hunter2"}
            prompt = {**PROMPT, "messages": [{"role": "user", "content": "hunter2"}]}
            trace.node_finished("retrieve", TurnState(passages=[passage]))  # type: ignore[list-item]
            trace.node_finished(
                "generate",
                TurnState(prompt=prompt, raw_answer="hunter2", query="hunter2"),  # type: ignore[typeddict-item]
            )
            trace.finish(
                TurnState(answer="hunter2", query="hunter2", parameters={"stop": ["hunter2"]})
            )
    names = {span.name for span in receiver.spans}
    assert names == {"turn", "retrieve", "generate", "search", "answer"}
    assert b"hunter2" not in receiver.raw


async def test_a_mask_that_fails_withholds() -> None:
    """When the mask raises, the text is withheld and the turn is traced without it."""

    def mask(text: str) -> str:
        raise ValueError(text)

    with Receiver() as receiver:
        async with opened(receiver.url, mask=mask) as made:
            whole(made)
            assert made.counts.failures == 0
    assert QUESTION.encode() not in receiver.raw
    assert "withheld" in receiver.span("turn").attributes["langfuse.observation.input"]


async def test_hostile_text_costs_no_other_span() -> None:
    """Lone surrogates, NUL, numbers that are none and data URIs are sent as something harmless."""
    with Receiver() as receiver:
        async with opened(receiver.url) as made:
            trace = begin(made, text="a\ud800b\x00")
            trace.finish(
                TurnState(answer="data:image/png;base64,aGk=", findings=[{"score": float("nan")}])
            )
    root = receiver.span("turn")
    assert "\ud800" not in root.attributes["langfuse.observation.input"]
    assert root.attributes["langfuse.observation.output"] == "<data URI of 26 characters>"
    assert root.json("observation.metadata.findings") == [{"score": None}]
    assert [path for _, path, _ in receiver.requests] == [TRACES]


async def test_wrong_calls_are_counted_and_do_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    """A failure inside tracing raises nothing, is counted, and is logged once without text."""
    with Receiver() as receiver, caplog.at_level(logging.WARNING, logger="core.langfuse"):
        async with opened(receiver.url) as made:
            trace = begin(made)
            for _ in range(3):
                trace.node_started("retrieve")
                trace.node_finished("retrieve", {"passages": [{"text": "secret words"}]})  # type: ignore[typeddict-item]
            trace.finish(TurnState())
            trace.node_finished("never started", TurnState())
            trace.finish(TurnState())
            assert made.counts.failures == 3
            begin(made, run_id=7).finish(TurnState())  # type: ignore[arg-type]
            assert made.counts.failures == 4
    assert [record.getMessage() for record in caplog.records] == [
        "tracing failed (KeyError); turns go on without it"
    ]
    assert receiver.span("turn").name == "turn"


@pytest.mark.parametrize("fault", ["refused", "hangs", "401", "500"])
async def test_a_server_in_trouble_changes_no_turn(fault: str) -> None:
    """Whatever the server does, tracing neither waits nor raises, and close() comes back."""
    with Receiver(status=int(fault) if fault.isdigit() else 200, hangs=fault == "hangs") as server:
        url = server.url if fault != "refused" else f"http://127.0.0.1:{free_port()}"
        made = await tracer(settings(url), close_seconds=0.1)
        assert isinstance(made, LangfuseTracer)
        for _ in range(20):  # more than one batch, so the sending thread is at work
            whole(made)
        if fault == "hangs":
            await asyncio.to_thread(server.asked.wait)
            whole(made)  # while a request hangs
        # Had a call waited for the hanging server, it would have waited for ever: the server
        # answers only when this block has ended.
        await made.close()
        if fault != "hangs":
            await asyncio.to_thread(closing_has_ended)
            assert made.counts.lost == made.counts.ended
        assert (made.counts.failures, made.counts.sent) == (0, 0)


async def test_an_outage_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """Many lost batches are one line in the log, not one each."""
    with Receiver(status=500) as receiver, caplog.at_level(logging.INFO):
        async with opened(receiver.url) as made:
            for _ in range(40):
                whole(made)
        assert len(receiver.requests) > 1
        assert made.counts.lost == made.counts.ended == 40 * SPANS
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == [
        "Langfuse does not take traces; turns go on without them"
    ]


async def test_waiting_spans_are_bounded() -> None:
    """While the server hangs, at most the queue's 2048 spans wait; the oldest give way."""
    with Receiver(hangs=True) as server:
        made = await tracer(settings(server.url), close_seconds=0.1)
        assert isinstance(made, LangfuseTracer)
        for _ in range(3000 // SPANS):
            whole(made)
        [_, processor] = sorted(
            made._provider._active_span_processor._span_processors,
            key=lambda each: hasattr(each, "_batch_processor"),
        )
        assert made.counts.ended == 3000
        assert len(processor._batch_processor._queue) == 2048  # type: ignore[attr-defined]
        await made.close()


def test_a_process_with_a_hanging_server_ends() -> None:
    """Neither closing nor the exit of the process waits for a server that never answers."""
    code = (
        "import asyncio, sys\n"
        "from tests.core.langfuse.opened import settings\n"
        "from tests.core.langfuse.turns import whole\n"
        "from core.langfuse import tracer\n"
        "async def main():\n"
        "    made = await tracer(settings(sys.argv[1]), close_seconds=0.1)\n"
        "    whole(made)\n"
        "    await made.close()\n"
        "asyncio.run(main())\n"
        "print('done')\n"
    )
    with Receiver(hangs=True) as server:
        # It ends before the receiver is released; otherwise this test runs into its timeout.
        done = subprocess.run(
            [sys.executable, "-c", code, server.url], capture_output=True, text=True, check=True
        )
    assert done.stdout == "done\n"


def closing_has_ended() -> None:
    """Wait for the thread that closes a tracer."""
    for thread in threading.enumerate():
        if thread.name == "langfuse-close":
            thread.join()


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

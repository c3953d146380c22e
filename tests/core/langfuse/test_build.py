from __future__ import annotations

import subprocess
import sys

import pytest

from core.errors import SettingsInvalid
from core.langfuse import tracer
from core.telemetry import NullTracer
from core.turn import TurnState
from tests.core.langfuse.opened import opened, settings
from tests.core.langfuse.turns import UPDATES, begin, whole
from tests.receiver import Receiver


def test_without_keys_nothing_is_traced() -> None:
    """Without keys the tracer is the one that does nothing, and the SDK is not imported."""
    code = (
        "import asyncio, sys\n"
        "from core.langfuse import tracer\n"
        "from core.settings import LangfuseSettings\n"
        "made = asyncio.run(tracer(LangfuseSettings(_env_file=None)))\n"
        "print(type(made).__name__, 'langfuse' in sys.modules, 'opentelemetry' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={}
    )
    assert done.stdout.split() == [NullTracer.__name__, "False", "False"]


@pytest.mark.parametrize("missing", ["public_key", "secret_key", "base_url"])
async def test_keys_and_address_belong_together(missing: str) -> None:
    """Keys without an address are refused: the SDK would send everything to its vendor."""
    with pytest.raises(SettingsInvalid, match="LANGFUSE_BASE_URL"):
        await tracer(settings("http://127.0.0.1:1", **{missing: None}))


async def test_a_wrong_environment_is_refused() -> None:
    """An environment name that Langfuse would reject is refused at the start."""
    with pytest.raises(SettingsInvalid, match="LANGFUSE_ENVIRONMENT"):
        await tracer(settings("http://127.0.0.1:1", environment="langfuse-prod"))


async def test_a_second_tracer_has_its_own_server() -> None:
    """A tracer opened after another was closed sends to its own server, with the same key."""
    for _ in range(2):
        with Receiver() as receiver:
            async with opened(receiver.url) as made:
                whole(made)
            assert receiver.span("turn").name == "turn"


async def test_sampling_keeps_or_drops_whole_turns() -> None:
    """With a sample rate, a turn arrives with all its observations or not at all."""
    with Receiver() as receiver:
        async with opened(receiver.url, sample_rate=0.5) as made:
            for number in range(40):
                whole(made, run_id=f"run-{number}")
    by_trace: dict[str, set[str]] = {}
    for span in receiver.spans:
        by_trace.setdefault(span.trace_id, set()).add(span.name)
    assert 5 < len(by_trace) < 35
    assert {frozenset(names) for names in by_trace.values()} == {
        frozenset({"turn", "search", "answer", *UPDATES})
    }


async def test_the_process_keeps_its_own_opentelemetry() -> None:
    """Opening a tracer sets no global tracer provider and leaves no context behind."""
    from opentelemetry import context, trace

    before = trace.get_tracer_provider()
    with Receiver() as receiver:
        async with opened(receiver.url) as made:
            held = begin(made)
            held.node_started("screen")
            assert trace.get_tracer_provider() is before
            assert not context.get_current()
            held.finish(TurnState())

"""What the client relies on, asked of llama-cpp-python's server with a model of random weights."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
from collections import deque
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from langchain_core.messages import AIMessageChunk, HumanMessage

from core.errors import ModelRejected, StreamCut
from core.settings import ModelSettings
from tests.project import ROOT
from tgi.chat_model import TgiChatModel, connect
from tgi.client import Timeouts
from tgi.probe.checks import CHECKS, Forecast, Outcome
from tgi.probe.detect import Found
from tgi.probe.report import probe
from tgi.stream import stream

PYTHON = Path(os.environ.get("LLAMACPP_PYTHON") or ROOT / ".venv-llamacpp" / "bin" / "python")
SETTINGS = ModelSettings(_env_file=None, profile="llamacpp")
ASKED = [HumanMessage("Say something.")]
GREEDY: dict[str, Any] = {"temperature": 0.0}  # such an answer ends at its limit only
# It sends no usage in a stream, and calls no tool that was not named as the one to call.
LACKING = {"usage", "tools"}

pytestmark = pytest.mark.skipif(
    not PYTHON.exists(), reason=f"no llama-cpp-python in {PYTHON}; make test-llamacpp builds it"
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with the tiny model."""
    model = tmp_path_factory.mktemp("llamacpp") / "tiny.gguf"
    subprocess.run([PYTHON, "-m", "tests.tgi.llamacpp.tiny", model], cwd=ROOT, check=True)
    options = {"model": model, "n_ctx": 512, "host": "127.0.0.1", "port": 0}
    server = subprocess.Popen(
        [PYTHON, "-m", "llama_cpp.server", *(f"--{name}={of}" for name, of in options.items())],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    assert server.stderr is not None
    told: deque[str] = deque(maxlen=20)
    try:
        for line in server.stderr:
            told.append(line)
            if found := re.search(r"running on (http://[\d.:]+)", line):
                break
        else:
            pytest.fail(f"the server ended: {''.join(told)}")
        # It goes on telling, and would wait for a reader in the end.
        reading = Thread(target=told.extend, args=(server.stderr,), daemon=True)
        reading.start()
        yield found[1]
    finally:
        server.terminate()
        server.wait()
    reading.join()
    server.stderr.close()


@pytest.fixture
async def chat(url: str) -> AsyncIterator[TgiChatModel]:
    """A chat model on that server."""
    async with connect(SETTINGS, url=url) as model:
        yield model


async def test_the_probe(url: str) -> None:
    """The server is recognised; every promise holds but the two that it does not make."""
    seen = [one async for one in probe(url, timeouts=Timeouts())]
    found = seen[0]
    assert isinstance(found, Found)
    assert found.profile.name == "llamacpp"
    assert found.model_name.endswith("tiny.gguf")
    outcomes = {one.name: one for one in seen if isinstance(one, Outcome)}
    assert outcomes.keys() == {check.name for check in CHECKS}
    assert {name for name, one in outcomes.items() if one.status == "fails"} == LACKING
    assert {name for name, one in outcomes.items() if one.status == "skipped"} == {
        "native",
        "adapter",
    }


async def test_a_stream_says_what_a_whole_answer_says(chat: TgiChatModel) -> None:
    """The same greedy question has the same text, streamed and whole, and the same end."""
    whole = await chat.ainvoke(ASKED, max_tokens=24, **GREEDY)
    chunks = [chunk async for chunk in stream(chat, ASKED, max_tokens=24, **GREEDY)]
    assert len(chunks) > 2
    assert "".join(str(chunk.content) for chunk in chunks) == whole.content
    ends = chunks[-1].response_metadata["finish_reason"], whole.response_metadata["finish_reason"]
    assert ends == ("length", "length")
    assert whole.usage_metadata is not None
    assert whole.usage_metadata["output_tokens"] == 24


async def test_a_schema_holds_even_this_model(chat: TgiChatModel) -> None:
    """Random weights give an answer of the right shape, because the server holds them to it."""
    for seed in range(5):
        told = chat.with_structured_output(Forecast)
        assert isinstance(await told.ainvoke(ASKED, seed=seed, max_tokens=64), Forecast)


async def test_a_stream_that_the_server_gives_up(chat: TgiChatModel) -> None:
    """The server drops a stream for the next request, and ends it as if it were whole: it is not.

    Its frames stop, [DONE] comes, and no finish reason: StreamCut, never half an answer.
    """
    sent = stream(chat, ASKED, max_tokens=400, **GREEDY)
    assert isinstance(await anext(sent), AIMessageChunk)
    other = asyncio.create_task(chat.ainvoke(ASKED, max_tokens=2, **GREEDY))
    with pytest.raises(StreamCut):
        async for _ in sent:
            pass
    assert (await other).content


async def test_a_prompt_that_is_too_long(chat: TgiChatModel) -> None:
    """A prompt above the context is refused with the server's own sentence."""
    with pytest.raises(ModelRejected, match="maximum context length is 512 tokens"):
        await chat.ainvoke([HumanMessage("word " * 400)], max_tokens=4)

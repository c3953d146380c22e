"""The command."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from core.errors import SettingsInvalid
from tests.tgi.probe.compatible import compatible, said
from tests.tgi.scripted import serving
from tgi.client import Timeouts
from tgi.probe.checks import CHECKS, Outcome
from tgi.probe.detect import Found
from tgi.probe.report import as_json, run
from tgi.profiles import VLLM

ROOT = Path(__file__).resolve().parents[3]


async def _probe(*arguments: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tgi", "probe", *arguments),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_a_table_and_a_file(tmp_path: Path) -> None:
    """What was seen is shown as a table and written as JSON; all holds, so the status is 0."""
    file = tmp_path / "seen.json"
    async with serving(compatible()) as url:
        code, shown, _ = await _probe(url, "--json", str(file))
    assert code == 0
    told = orjson.loads(file.read_bytes())
    assert (told["profile"], told["model"], told["holds"]) == ("openai", "m", True)
    assert [check["name"] for check in told["checks"]] == [check.name for check in CHECKS]
    assert all(check.name in shown for check in CHECKS)


async def test_a_broken_promise_is_status_1() -> None:
    """One check that fails is exit status 1."""
    skip = [f"--skip={check.name}" for check in CHECKS if check.name != "limit"]
    async with serving(compatible(lambda _: said("x"))) as url:
        assert (await _probe(url, *skip))[0] == 1


async def test_nobody_there() -> None:
    """An address where nobody listens is one sentence and exit status 2, no traceback."""
    async with serving(lambda *_: None) as url:
        pass
    code, _, told = await _probe(url)
    assert (code, told.startswith("The model server does not answer.")) == (2, True)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"profile": "triton"}, "--profile is one of tgi, vllm, llamacpp, openai."),
        ({"skip": ["speed"]}, "--skip speed: it is one of"),
        ({"api_key_env": "NOBODY_HAS_THIS"}, "NOBODY_HAS_THIS is not set."),
    ],
)
async def test_options_that_are_wrong(option: dict[str, Any], said: str) -> None:
    """A profile, a check or a variable that there is not is refused before anything is asked."""
    options: dict[str, Any] = dict.fromkeys(
        ("profile", "model", "api_key_env", "adapter", "load", "json_file")
    )
    options |= {"skip": (), "timeouts": Timeouts(), **option}
    with pytest.raises(SettingsInvalid, match=said):
        await run("http://127.0.0.1:9", **options)


def test_skipped_is_not_failed() -> None:
    """What could not be asked does not fail the whole."""
    found = Found(VLLM, "m", 4096, None)
    outcomes = [Outcome("stop", "It stops", "skipped", "", 0.0)]
    assert as_json("http://m", found, outcomes)["holds"]
    outcomes.append(Outcome("limit", "It ends", "fails", "", 0.0))
    assert not as_json("http://m", found, outcomes)["holds"]

"""How TGI is started."""

from __future__ import annotations

import re

import yaml

from core.settings import ModelSettings
from tests.project import ROOT
from tgi.profiles import TGI
from tgi.sizing import fit, shape_of

TEXT = (ROOT / "tgi" / "launch.env").read_text(encoding="utf-8")
LAUNCH = dict(line.split("=", 1) for line in TEXT.splitlines() if line and line[0] != "#")
SERVICE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]["tgi"]
CONTEXT = ModelSettings(_env_file=None)


def test_compose_starts_it_from_this_file() -> None:
    """The file is the only place: Compose gives it to the service, and overrides nothing of it."""
    assert SERVICE["env_file"] == ["tgi/launch.env"]
    assert "command" not in SERVICE
    assert not SERVICE["environment"].keys() & LAUNCH.keys()
    (port,) = SERVICE["ports"]
    assert port.endswith(f":{LAUNCH['PORT']}")
    assert f":{LAUNCH['PORT']}/" in SERVICE["healthcheck"]["test"][-1]


def test_it_is_a_config_map_too() -> None:
    """Each line is a comment or a variable with a plain value, as kubectl reads such a file."""
    for line in TEXT.splitlines():
        assert re.fullmatch(r"(#.*|[A-Z_]+=[^\s\"'#]+)?", line), line


def test_the_weights_are_pinned() -> None:
    """The model is one commit of its repository, so that a restart serves the same weights."""
    assert re.fullmatch("[0-9a-f]{40}", LAUNCH["REVISION"])


def test_the_limits_fit_together() -> None:
    """A prompt leaves room for an answer, is read in one step, and fits what Parley asks for."""
    total, prompt = int(LAUNCH["MAX_TOTAL_TOKENS"]), int(LAUNCH["MAX_INPUT_TOKENS"])
    assert prompt < total <= shape_of(LAUNCH["MODEL_ID"]).max_context
    assert int(LAUNCH["MAX_BATCH_PREFILL_TOKENS"]) >= prompt
    assert total == CONTEXT.context_tokens
    assert total - prompt >= CONTEXT.max_output_tokens
    assert int(LAUNCH["MAX_STOP_SEQUENCES"]) == TGI.max_stop


def test_it_fits_a_gpu_of_24_gib() -> None:
    """The model and conversations of this length fit a common GPU, on as many as are named."""
    shape = shape_of(LAUNCH["MODEL_ID"])
    context, shards = int(LAUNCH["MAX_TOTAL_TOKENS"]), int(LAUNCH["NUM_SHARD"])
    assert fit(shape, context=context, gpu_gib=24, shards=shards).sequences > 4

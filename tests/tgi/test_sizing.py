"""How much memory a model needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from core.errors import InvalidInput
from tests.project import ROOT
from tgi.__main__ import app
from tgi.sizing import GIB, Quantize, fit, read, rows, shape_of

EIGHT = "meta-llama/Llama-3.1-8B-Instruct"
SEVENTY = "meta-llama/Llama-3.1-70B-Instruct"
CONFIG: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
}
# As the repositories of the models count them.
PUBLISHED = {
    "meta-llama/Llama-3.2-1B-Instruct": 1_235_814_400,
    "meta-llama/Llama-3.2-3B-Instruct": 3_212_749_824,
    EIGHT: 8_030_261_248,
    SEVENTY: 70_553_706_496,
    "Qwen/Qwen2.5-0.5B-Instruct": 494_032_768,
    "Qwen/Qwen2.5-7B-Instruct": 7_615_616_512,
    "Qwen/Qwen2.5-14B-Instruct": 14_770_033_664,
    "Qwen/Qwen2.5-32B-Instruct": 32_763_876_352,
    "Qwen/Qwen2.5-72B-Instruct": 72_706_203_648,
    "Qwen/Qwen3-8B": 8_190_735_360,
    "mistralai/Mistral-7B-Instruct-v0.3": 7_248_023_552,
    "mistralai/Mixtral-8x7B-Instruct-v0.1": 46_702_792_704,
}


@pytest.mark.parametrize("model", yaml.safe_load((ROOT / "tgi" / "sizes.yaml").read_text()))
def test_parameters(model: str) -> None:
    """The shape of each known model counts to the parameters that it was published with."""
    shape = shape_of(model)
    assert shape.linear + shape.other == PUBLISHED[model]


@pytest.mark.parametrize(("model", "per_token"), [(EIGHT, 131_072), (SEVENTY, 327_680)])
def test_a_token_keeps(model: str, per_token: int) -> None:
    """2 x 32 layers x 8 heads x 128 x 2 bytes, 2 x 80 x 8 x 128 x 2; in 8 bits half of it."""
    assert shape_of(model).kv_bytes() == per_token
    assert shape_of(model).kv_bytes("fp8") == per_token // 2


@pytest.mark.parametrize(
    ("quantize", "size_bytes"),
    [
        ("none", 16_060_522_496),
        # Linear: 32 x (4096 x 128 x 80 + 3 x 4096 x 14336) = 6,979,321,856; the other
        # 1,050,939,392 keep two bytes.
        ("fp8", 6_979_321_856 + 2_101_878_784),
        ("awq", 6_979_321_856 * 4.15625 / 8 + 2_101_878_784),
    ],
)
def test_weights(quantize: Quantize, size_bytes: float) -> None:
    """Quantising makes the linear layers smaller, and leaves the embeddings as they are."""
    assert shape_of(EIGHT).weights_bytes(quantize) == size_bytes


def test_conversations_at_once() -> None:
    """What the weights leave of nine tenths of the GPU is shared by conversations."""
    found = fit(shape_of(EIGHT), context=8192, gpu_gib=24)
    free = 0.9 * 24 * GIB - 16_060_522_496
    assert found.tokens == int(free // 131_072)
    assert found.sequences == found.tokens // 8192 == 6
    assert found.sequence_bytes == GIB
    assert fit(shape_of(EIGHT), context=8192, gpu_gib=24, kv_dtype="fp8").sequences == 13


def test_the_fewest_gpus() -> None:
    """A model is shared by as few GPUs as hold it; the heads have to divide evenly."""
    assert fit(shape_of(SEVENTY), context=8192, gpu_gib=80).shards == 2
    assert fit(shape_of(SEVENTY), context=8192, gpu_gib=80, shards=4).sequences > 40
    assert fit(shape_of(SEVENTY), context=8192, gpu_gib=24).shards == 8
    with pytest.raises(InvalidInput, match="28 heads and 4 key-value heads"):
        fit(shape_of("Qwen/Qwen2.5-7B-Instruct"), context=8192, gpu_gib=24, shards=8)


def test_what_does_not_fit() -> None:
    """Weights, or a context, that no number of GPUs holds are refused with the numbers."""
    with pytest.raises(InvalidInput, match=r"131\.4 GiB of weights .* do not fit on 8 x 12 GiB"):
        fit(shape_of(SEVENTY), context=8192, gpu_gib=12)
    with pytest.raises(InvalidInput, match="1 to 131072"):
        fit(shape_of(EIGHT), context=200_000, gpu_gib=80)


def test_a_config_of_a_file(tmp_path: Path) -> None:
    """A config.json says the same as the table; null and missing keys have their defaults."""
    file = tmp_path / "config.json"
    file.write_text(json.dumps(CONFIG | {"head_dim": None, "torch_dtype": "bfloat16"}))
    assert shape_of(str(file)) == shape_of(EIGHT)
    without = {key: value for key, value in CONFIG.items() if key != "num_key_value_heads"}
    assert read(without).kv_heads == 32


def test_weights_that_are_stored_quantised() -> None:
    """A config that says how its weights are quantised allows no other way."""
    assert read(CONFIG | {"quantization_config": {"quant_method": "awq"}}).quantized == "awq"
    with pytest.raises(InvalidInput, match="exl2"):
        read(CONFIG | {"quantization_config": {"quant_method": "exl2"}})


def test_one_way_only(tmp_path: Path) -> None:
    """Without a wish all ways that fit are told; with one, or stored weights, that one."""
    assert [row[1] for row in rows(EIGHT, context=8192, gpu_gib=24)] == ["", "fp8", "awq"]
    assert [row[1] for row in rows(EIGHT, context=8192, gpu_gib=24, quantize="fp8")] == ["fp8"]
    assert [row[1] for row in rows(EIGHT, context=8192, gpu_gib=12, shards=1)] == ["fp8", "awq"]
    file = tmp_path / "config.json"
    file.write_text(json.dumps(CONFIG | {"quantization_config": {"quant_method": "gptq"}}))
    assert [row[1] for row in rows(str(file), context=8192, gpu_gib=24)] == ["gptq"]
    with pytest.raises(InvalidInput, match="stored as gptq"):
        rows(str(file), context=8192, gpu_gib=24, quantize="fp8")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_type": "deepseek_v3"}, "'deepseek_v3' is not understood"),
        ({"model_type": None}, "None is not understood"),
        ({"hidden_size": "4096"}, "hidden_size"),
        ({"num_hidden_layers": 0}, "num_hidden_layers"),
        ({"vocab_size": True}, "vocab_size"),
        ({"max_position_embeddings": None}, "max_position_embeddings"),
    ],
)
def test_a_config_that_is_not_understood(change: dict[str, Any], said: str) -> None:
    """What is not understood is refused by name, never guessed."""
    with pytest.raises(InvalidInput, match=said):
        read(CONFIG | change)
    with pytest.raises(InvalidInput):
        read([])


def test_a_file_that_is_no_config(tmp_path: Path) -> None:
    """A file that is no JSON, and a name that nobody knows, are one sentence."""
    file = tmp_path / "config.json"
    file.write_text("{: ")
    with pytest.raises(InvalidInput, match="no JSON"):
        shape_of(str(file))
    with pytest.raises(InvalidInput, match="known models"):
        shape_of("gpt-5")


def test_the_command() -> None:
    """The command prints a table, or its error and exit status 1."""
    shown = CliRunner().invoke(app, ["size", EIGHT, "--gpu-gb", "80", "--shards", "1"])
    assert shown.exit_code == 0
    assert "128 KiB" in shown.output
    refused = CliRunner().invoke(app, ["size", EIGHT, "--shards", "3"])
    assert (refused.exit_code, "cannot be shared" in refused.output) == (1, True)


def test_the_table_of_the_guide() -> None:
    """The table in the guide is what the command that stands above it prints."""
    guide = (ROOT / "docs" / "guides" / "models.md").read_text(encoding="utf-8")
    section = guide.partition("## How much memory does a model need?")[2].partition("\n## ")[0]
    command = section.partition("bin/python -m tgi ")[2].partition("\n")[0].split()
    table = "".join(line + "\n" for line in section.splitlines() if line.startswith("|"))
    assert CliRunner().invoke(app, command).output == table
